"""A table without a catalog: opened from its folder or its metadata file, read-only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakeflow.table import Table
from lakeflow_io.errors import ConfigError, InputError
from lakeflow_io.iceberg.static import open_static
from lakeflow_io.storage.location import is_uri
from lakeflow_io.storage.properties import store_properties

__all__ = ["open_table"]


def open_table(path: str | os.PathLike[str], *, relocate: Mapping[str, str] | bool = False, **storage: Any) -> Table:
    """Open an Iceberg table without its catalog, to read it.

    Args:
        path: A metadata file (`.../metadata/v3.metadata.json`, compressed or not), or the table's folder,
            of which the newest one is taken: local, or the URI of any store.
        relocate: For a table whose files aren't where its metadata says: old prefixes of paths, and what
            stands in their place now, such as `{"hdfs://old/prefix": "s3://new/prefix"}`. True for a
            table that was moved as a whole, to where the metadata file lies. Paths that are relative
            start in the table's folder anyway.
        storage: Storage properties, as a catalog has them: `**{"s3.endpoint": ...}`.

    Raises:
        NotFoundError: there is no table.
        CorruptFileError: the metadata file does not decode, or contradicts itself.
        UnsupportedError: the table is of a format version, or has a feature, that isn't read; names it.
        ConfigError: a storage property is unknown or can't be.
        StoreError: the store failed.

    Example:
        >>> open_table("s3://lake/kg/films").scan(where="year >= 2000").read()  # doctest: +SKIP
    """
    store = store_properties(storage)
    unknown = sorted(storage.keys() - store.keys())
    if unknown:
        raise ConfigError(
            f"open_table() got {unknown[0]}=, which is no option and no storage property.",
            'write storage properties as **{"s3.endpoint": "https://..."}.',
        )
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{path!r} is no path.", "give a table's folder or its metadata file.")
    prefixes = None if relocate is True else {} if relocate is False else relocate
    if prefixes is not None and not _are_prefixes(prefixes):
        raise InputError(
            f"relocate={relocate!r} says nothing about paths.", 'give {"old prefix": "new prefix"}, or True.'
        )
    text = os.fspath(path)
    uri = text if is_uri(text) else f"file://{Path(text).absolute()}"
    return Table(text, open_static(uri, store, prefixes))


def _are_prefixes(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) and each for pair in value.items() for each in pair)
