"""ORC's types as pyarrow reads them -> what Iceberg means by them: https://iceberg.apache.org/spec/#orc."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds

from lakeflow_io.errors import UnsupportedError

__all__ = ["stated"]

_UUID_BYTES = 16


def stated(uri: str, schema: pa.Schema) -> pa.Schema:
    """A file's columns by its own annotations, with field ids as in the metadata of Parquet's.

    Args:
        uri: The file, for errors.
        schema: By pyarrow, which hands attributes of types over as metadata of fields.

    Raises:
        UnsupportedError: a column has a type that no Iceberg table has, or one that isn't read; names the file.
        ValueError: an annotation contradicts itself.
    """
    return pa.schema([_field(uri, each, each.name) for each in schema])


def _field(uri: str, field: pa.Field, name: str) -> pa.Field:
    attributes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    field_id = attributes.get("iceberg.id")
    metadata = {"PARQUET:field_id": field_id} if field_id is not None else None
    return pa.field(name, _type(uri, field, attributes), field.nullable, metadata)


def _type(uri: str, field: pa.Field, attributes: dict[str, str]) -> pa.DataType:
    kind = field.type
    if kinds.is_struct(kind) and "iceberg.struct-type" not in attributes:
        return pa.struct([_field(uri, each, each.name) for each in kind])
    if kinds.is_list(kind):
        return pa.list_(_field(uri, kind.value_field, "element"))
    if kinds.is_map(kind):
        return pa.map_(_field(uri, kind.key_field, "key"), _field(uri, kind.item_field, "value"))
    if kinds.is_timestamp(kind):
        unit = "ns" if attributes.get("iceberg.timestamp-unit") == "NANOS" else "us"
        return pa.timestamp(unit, "UTC" if kind.tz is not None else None)
    if kinds.is_int64(kind) and attributes.get("iceberg.long-type") == "TIME":
        return pa.time64("us")
    if kinds.is_binary(kind) and attributes.get("iceberg.binary-type", "BINARY") != "BINARY":
        return _bytes(uri, field.name, attributes)
    # Of fixed size is CHAR alone, whose values are shorter where they end with blanks: pyarrow reads behind them.
    if kinds.is_nested(kind) or kinds.is_fixed_size_binary(kind):
        raise UnsupportedError(f"{uri}: column {field.name!r} is {kind} in ORC.", "rewrite the file as Parquet.")
    return kind


def _bytes(uri: str, name: str, attributes: dict[str, str]) -> pa.DataType:
    kind = attributes["iceberg.binary-type"]
    if kind == "UUID":
        return pa.binary(_UUID_BYTES)
    if kind == "FIXED":
        return pa.binary(int(attributes.get("iceberg.length", "")))
    raise UnsupportedError(f"{uri}: column {name!r} holds {kind} as bytes of ORC.", "rewrite the file as Parquet.")
