"""Columns of one plain file -> those of a scan, by name, whatever field ids the file carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_io.errors import SchemaError, UnsupportedError
from lakeflow_io.folder.types import canonical, promotes
from lakeflow_io.iceberg.internals import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["columns_by_name", "file_columns"]


def file_columns(uri: str, schema: pa.Schema) -> dict[str, pa.DataType]:
    """Names and types of a file's top-level columns, as the file has them.

    Raises:
        UnsupportedError: two have one name.
    """
    columns = dict(zip(schema.names, schema.types, strict=True))
    if len(columns) < len(schema):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise UnsupportedError(f"{uri} has two columns named {twice!r}.", "rewrite the file.")
    return columns


def columns_by_name(spec: ReadSpec, piece: Piece, schema: pa.Schema) -> Schema:
    """The columns of a scan that this file has, in the types of the scan: what is read is cast to them.

    What the path says wins: a partition column is left out, even where the file has a column of its name.

    Raises:
        SchemaError: a column's type doesn't promote to the scan's; names file, column and types.
        UnsupportedError: a column's type has no counterpart in Iceberg.
    """
    from pyiceberg.schema import Schema

    columns = file_columns(piece.path, schema)
    on_path = {field_id for field_id, _ in piece.constants}
    there = [f for f in spec.filter_columns.fields if f.name in columns and f.field_id not in on_path]
    for field, wanted in zip(there, arrow_schema(Schema(*there)), strict=True):
        where = f"column {field.name!r} of {piece.path}"
        if not promotes(canonical(columns[field.name], where), canonical(wanted.type, where)):
            raise SchemaError(
                f"The {where} is {columns[field.name]}, which does not become {wanted.type}, its type in the scan.",
                "pass union_by_name=True to look at all files, or schema= with the type you want.",
            )
    return Schema(*there)
