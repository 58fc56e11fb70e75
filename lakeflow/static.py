"""A table without a catalog: opened from its folder or its metadata file, read-only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeflow.formats.hive import HiveFormat
from lakeflow.formats.iceberg import IcebergFormat
from lakeflow.table import Table
from lakeflow_io.errors import ConfigError, InputError, NotFoundError
from lakeflow_io.folder import open_folder, refuse_foreign
from lakeflow_io.iceberg.static import is_metadata_file, open_static
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import WEB, is_uri
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeflow_io.folder import Folder

__all__ = ["open_table"]

_DATA_SUFFIXES = (".parquet", ".parq", ".pq")


def open_table(
    path: str | os.PathLike[str],
    *,
    relocate: Mapping[str, str] | bool = False,
    hive: bool | Mapping[str, pa.DataType] | pa.Schema | None = None,
    schema: pa.Schema | None = None,
    union_by_name: bool = False,
    **storage: Any,
) -> Table:
    """Open a table without a catalog, to read it: an Iceberg table, or a folder of Parquet files.

    A folder with Iceberg's metadata (in `metadata/`, or beside nothing else) is an Iceberg table. Any other
    is Parquet in Hive's layout: its `key=value` folders are partitions, and the first file tells the columns.

    Args:
        path: A metadata file (`.../metadata/v3.metadata.json`, compressed or not), or the table's folder,
            of which the newest one is taken: local, or the URI of any store. Or a folder, a file or a glob
            of Parquet.
        relocate: For an Iceberg table whose files aren't where its metadata says: old prefixes of paths, and
            what stands in their place now, such as `{"hdfs://old/prefix": "s3://new/prefix"}`. True for a
            table that was moved as a whole, to where the metadata file lies. Paths that are relative
            start in the table's folder anyway.
        hive: Of Parquet, which folders are partition columns, and of which types, as for `scan_parquet`.
        schema: Of Parquet, the columns to read, as for `scan_parquet`.
        union_by_name: Of Parquet, whether to take the columns of all files, as for `scan_parquet`.
        storage: Storage properties, as a catalog has them: `**{"s3.endpoint": ...}`.

    Raises:
        NotFoundError: there is no table, and no file.
        CorruptFileError: the metadata file does not decode, or contradicts itself; the first file is no Parquet file.
        UnsupportedError: the table is of a format version, or has a feature, that isn't read; names it. Or it is a
            table of another format.
        SchemaError: Parquet files, or values on their paths, don't fit together.
        ConfigError: a storage property is unknown or can't be.
        InputError: another argument can't be.
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
    options = {"hive": hive, "schema": schema, "union_by_name": union_by_name}
    found = None if _is_parquet_file(uri) else _iceberg(uri, store, prefixes, only=relocate is not False)
    if found is None:
        return Table(HiveFormat(uri, partial(_listed, text, uri, store, options)))
    for name, value in options.items():
        if value is not (False if name == "union_by_name" else None):
            raise InputError(f"{text} is an Iceberg table, which {name}= says nothing about.", "leave it out.")
    return Table(IcebergFormat(text, found))


def _iceberg(uri: str, store: dict[str, str], prefixes: Mapping[str, str] | None, *, only: bool) -> Any:
    """The Iceberg table that lies there; None where there is none, and there may be another one."""
    try:
        return open_static(uri, store, prefixes)
    except NotFoundError:
        if only or is_metadata_file(uri) or uri.partition("://")[0] in WEB:  # which lists nothing
            raise
        return None


def _listed(text: str, uri: str, store: dict[str, str], options: dict[str, Any]) -> Folder:
    if not _is_parquet_file(uri):
        refuse_foreign(open_transport(store), uri)
    return open_folder(text, store, **options)


def _is_parquet_file(uri: str) -> bool:
    """Tell a path that is no table's folder by its name; a folder may have such a name."""
    scheme, _, rest = uri.partition("://")
    name = rest.partition("?")[0] if scheme in WEB else rest
    return name.endswith(_DATA_SUFFIXES) and not (scheme == "file" and Path(rest).is_dir())


def _are_prefixes(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) and each for pair in value.items() for each in pair)
