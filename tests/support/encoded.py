"""Rows as ORC and Avro files with Iceberg's field ids: what Spark, Flink and Trino write.

pyarrow writes metadata of fields as attributes of ORC's types, and fastavro what a schema has besides its types.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
from pyarrow import orc
from pyiceberg.schema import Schema
from pyiceberg.types import (
    DateType,
    DecimalType,
    FixedType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.orc.codecs import decompressed
from lakeflow_io.orc.protobuf import Message
from lakeflow_io.parquet.encode import encode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POSITION_DELETES", "avro_bytes", "avro_schema", "encoded", "orc_bytes", "parquet_bytes", "with_footer"]

POSITION_DELETES = Schema(
    NestedField(2147483546, "file_path", StringType(), required=True),
    NestedField(2147483545, "pos", LongType(), required=True),
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def encoded(kind: str, rows: pa.Table, schema: Schema, **options: Any) -> bytes:
    """Rows as a file of a format: `PARQUET`, `ORC` or `AVRO`."""
    return {"PARQUET": parquet_bytes, "ORC": orc_bytes, "AVRO": avro_bytes}[kind](rows, schema, **options)


def parquet_bytes(rows: pa.Table, schema: Schema, *, group: int = 1000) -> bytes:
    """As lakeflow writes it."""
    sink = pa.BufferOutputStream()
    shaped = conform(rows, arrow_schema(schema, field_ids=True), "tests")
    encode(shaped, {"write.parquet.row-group-limit": str(group)}, sink)
    return bytes(sink.getvalue())


def avro_bytes(
    rows: pa.Table, schema: Schema, *, group: int = 1000, codec: str = "deflate", ids: bool = True, written: Any = None
) -> bytes:
    """By fastavro, with about `group` rows a block.

    Args:
        rows: Of the schema's types.
        schema: Iceberg's.
        group: Rows of a block.
        codec: Of the blocks.
        ids: Whether the file has field ids.
        written: The Avro schema, where it isn't Iceberg's own for `schema`.
    """
    schema_json = written or avro_schema(schema)
    if not ids:
        schema_json = _without_ids(schema_json)
    shaped = conform(rows, arrow_schema(schema), "tests").to_pylist()
    records = [{f.name: _plain(row[f.name], f.field_type) for f in schema.fields} for row in shaped]
    file = io.BytesIO()
    made = fastavro.write.Writer(file, fastavro.parse_schema(schema_json), codec, sync_interval=2**40)
    for number, record in enumerate(records):
        made.write(record)
        if number % group == group - 1:
            made.dump()
    made.flush()
    return file.getvalue()


def avro_schema(schema: Schema) -> dict[str, Any]:
    """As Iceberg's Java writes it: https://iceberg.apache.org/spec/#avro."""
    return _record("table", schema.fields)


def _record(name: str, fields: Any) -> dict[str, Any]:
    made = [{"name": f.name, "type": _nullable(f), "field-id": f.field_id} for f in fields]
    return {"type": "record", "name": name, "fields": made}


def _nullable(field: Any) -> Any:
    found = _avro_type(field.field_type, field.field_id)
    return found if field.required else ["null", found]


def _avro_type(kind: Any, field_id: int) -> Any:
    if isinstance(kind, StructType):
        return _record(f"r{field_id}", kind.fields)
    if isinstance(kind, ListType):
        return {"type": "array", "items": _nullable(kind.element_field), "element-id": kind.element_id}
    if isinstance(kind, MapType) and isinstance(kind.key_type, StringType):
        return {
            "type": "map", "values": _nullable(kind.value_field), "key-id": kind.key_id, "value-id": kind.value_id,
        }  # fmt: skip
    if isinstance(kind, MapType):
        pair = _record(f"k{kind.key_id}_v{kind.value_id}", (kind.key_field, kind.value_field))
        return {"type": "array", "items": pair, "logicalType": "map"}
    if isinstance(kind, DecimalType):
        size = next(size for size in range(1, 17) if 2 ** (8 * size - 1) > 10**kind.precision - 1)
        fixed = {"type": "fixed", "name": f"decimal_{field_id}", "size": size, "logicalType": "decimal"}
        return {**fixed, "precision": kind.precision, "scale": kind.scale}
    if isinstance(kind, FixedType):
        return {"type": "fixed", "name": f"fixed_{field_id}", "size": len(kind)}
    return {
        "binary": "bytes",
        "date": {"type": "int", "logicalType": "date"},
        "time": {"type": "long", "logicalType": "time-micros"},
        "timestamp": {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": False},
        "timestamptz": {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": True},
        "uuid": {"type": "fixed", "name": f"uuid_{field_id}", "size": 16, "logicalType": "uuid"},
    }.get(str(kind), str(kind))


def _without_ids(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_ids(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _without_ids(each) for name, each in schema.items() if not name.endswith("-id")}


def _plain(value: Any, kind: Any, *, pairs: Callable[[Any], Any] = dict) -> Any:
    """A value below logical types; pairs of maps as `dict` with keys of text, else as structs, or all as `tuple`."""
    if value is None:
        return None
    if isinstance(kind, StructType):
        return {each.name: _plain(value[each.name], each.field_type, pairs=pairs) for each in kind.fields}
    if isinstance(kind, ListType):
        return [_plain(each, kind.element_type, pairs=pairs) for each in value]
    if isinstance(kind, MapType):
        found = [(_plain(k, kind.key_type, pairs=pairs), _plain(v, kind.value_type, pairs=pairs)) for k, v in value]
        if pairs is tuple:
            return found
        is_text = isinstance(kind.key_type, StringType)
        return dict(found) if is_text else [{"key": key, "value": each} for key, each in found]
    if isinstance(kind, TimestampType | TimestamptzType):
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        return (zoned - _EPOCH) // dt.timedelta(microseconds=1)
    if isinstance(kind, DateType):
        return (value - _EPOCH.date()).days
    if isinstance(kind, TimeType):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    if isinstance(kind, UUIDType):
        return value.bytes
    return value


def orc_bytes(
    rows: pa.Table, schema: Schema, *, group: int = 1000, codec: str = "uncompressed", ids: bool = True, **options: Any
) -> bytes:
    """By pyarrow, with `group` rows a stripe; where streams are compressed, with more of them.

    Args:
        rows: Of the schema's types.
        schema: Iceberg's.
        group: Rows of a stripe.
        codec: Of the streams.
        ids: Whether types have Iceberg's attributes.
        options: Of pyarrow's writer.
    """
    shaped = conform(rows, arrow_schema(schema), "tests").to_pydict()
    stored = pa.schema([_described(each, ids=ids) for each in schema.fields])
    columns = []
    for number, field in enumerate(schema.fields):
        values = [_plain(value, field.field_type, pairs=tuple) for value in shaped[field.name]]
        columns.append(_null_beneath(pa.array(values, stored.field(number).type)))
    sink = pa.BufferOutputStream()
    options = {"batch_size": group, "stripe_size": 1, **options}
    orc.write_table(pa.table(columns, schema=stored), sink, compression=codec, **options)
    return bytes(sink.getvalue())


def _null_beneath(array: pa.Array, null: pa.Array | None = None) -> pa.Array:
    """The same values, where what lies in a null struct is null, too: else pyarrow's writer loses which it was."""
    if null is not None:
        array = array.take(pa.array([None if gone else row for row, gone in enumerate(null.to_pylist())], pa.int64()))
    kind, mask = array.type, array.is_null()
    if pa.types.is_struct(kind):
        children = [_null_beneath(array.field(number), mask) for number in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        offsets = pa.array(array.offsets.to_numpy(), pa.int32())
        if pa.types.is_list(kind):
            return pa.ListArray.from_arrays(offsets, _null_beneath(array.values), kind, mask=mask)
        return pa.MapArray.from_arrays(offsets, array.keys, _null_beneath(array.items), kind, mask=mask)
    return array


def _described(field: Any, *, ids: bool) -> pa.Field:
    """A field as ORC has it, with attributes of its type: https://iceberg.apache.org/spec/#orc."""
    kind, found = field.field_type, {"iceberg.id": str(field.field_id), "iceberg.required": str(field.required).lower()}
    if isinstance(kind, StructType):
        stored = pa.struct([_described(each, ids=ids) for each in kind.fields])
    elif isinstance(kind, ListType):
        stored = pa.list_(_described(kind.element_field, ids=ids))
    elif isinstance(kind, MapType):
        key, value = (_described(each, ids=ids) for each in (kind.key_field, kind.value_field))
        stored = pa.map_(key.with_nullable(False), value)  # noqa: FBT003  (its only argument)
    else:
        stored = arrow_schema(Schema(field)).field(0).type
        if isinstance(kind, TimeType):
            stored, found["iceberg.long-type"] = pa.int64(), "TIME"
        elif isinstance(kind, UUIDType):
            stored, found["iceberg.binary-type"] = pa.binary(), "UUID"
        elif isinstance(kind, FixedType):
            stored = pa.binary()
            found |= {"iceberg.binary-type": "FIXED", "iceberg.length": str(len(kind))}
    return pa.field(field.name, stored, metadata=found if ids else None)


def with_footer(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An ORC file with another footer, which isn't compressed."""
    length = data[-1]
    postscript = Message(memoryview(data[-1 - length : -1]))
    codec = postscript.number(2)
    start = len(data) - 1 - length - postscript.number(1)
    made = change(bytes(decompressed(memoryview(data[start : -1 - length]), codec)))
    if codec:
        made = (len(made) << 1 | 1).to_bytes(3, "little") + made  # as a chunk that was stored as it is
    tail = data[-1 - length : -1] + _number(1, len(made))
    return data[:start] + made + tail + bytes([len(tail)])


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)
