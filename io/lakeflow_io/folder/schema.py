"""Footers or an Arrow schema -> the columns of a folder, with field ids of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from lakeflow_io.errors import InputError, SchemaError, UnsupportedError
from lakeflow_io.folder.match import file_columns
from lakeflow_io.folder.types import canonical, wider
from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.parquet.layout import file_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.schema import Schema

    from lakeflow_io.parquet.footer import Footer

__all__ = ["FORMAT_VERSION", "Columns", "check_asked", "columns_of"]

FORMAT_VERSION: Literal[3] = 3  # of the types: nanoseconds, and columns of nothing but nulls


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a folder."""

    schema: Schema
    """Those that can be read: the files' in their order, then the partitions'."""
    unreadable: dict[str, UnsupportedError]
    """The others, and why."""

    @property
    def names(self) -> list[str]:
        """Those that can be read."""
        return [field.name for field in self.schema.fields]


def columns_of(footers: Sequence[Footer], asked: pa.Schema | None, on_paths: pa.Schema) -> Columns:
    """Put the columns of a folder together.

    Args:
        footers: Of the files to look at; none where `asked` says all.
        asked: The caller's own schema.
        on_paths: Partition columns. One that is in the files too keeps its place there.

    Raises:
        SchemaError: two files have types for a column that nothing holds both of.
        UnsupportedError: `asked` has a type that Iceberg lacks.
    """
    partitions = dict(zip(on_paths.names, on_paths.types, strict=True))
    kinds: dict[str, pa.DataType] = {}
    unreadable: dict[str, UnsupportedError] = {}
    if asked is not None:
        kinds = {field.name: canonical(field.type, f"column {field.name!r} of schema=") for field in asked}
    for footer in footers:
        for name, kind in file_columns(footer.uri, file_layout(footer).schema).items():
            try:
                found = canonical(kind, f"column {name!r} of {footer.uri}")
            except UnsupportedError as error:
                if name not in partitions:
                    unreadable[name] = error
                continue
            kinds[name] = found if name in partitions else _merged(name, kinds.get(name), found, footer.uri)
    kinds = {name: kind for name, kind in (kinds | partitions).items() if name not in unreadable}
    try:
        schema = fresh_schema(pa.schema(list(kinds.items())), FORMAT_VERSION)
    except (ValueError, TypeError) as error:
        files = footers[0].uri if footers else "schema="
        raise UnsupportedError(f"The columns of {files} don't make a schema: {error}", "rename them.") from error
    return Columns(schema, unreadable)


def check_asked(asked: pa.Schema) -> None:
    """Refuse a `schema=` that can't be.

    Raises:
        InputError: it isn't a schema, has no columns, or a name twice.
    """
    if not isinstance(asked, pa.Schema) or not len(asked):
        raise InputError(f"schema={asked!r} has no columns.", "give a pyarrow.Schema.")
    if len(set(asked.names)) < len(asked):
        raise InputError(f"schema= has a name twice: {asked.names}.", "give each column its own name.")


def _merged(name: str, known: pa.DataType | None, found: pa.DataType, uri: str) -> pa.DataType:
    kind = found if known is None else wider(known, found)
    if kind is None:
        raise SchemaError(
            f"The column {name!r} is {found} in {uri}, and {known} in files before it.",
            "pass schema= with the columns you want, or read the files apart.",
        )
    return kind
