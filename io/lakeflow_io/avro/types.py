"""Avro's types -> Arrow's, with field ids: https://iceberg.apache.org/spec/#avro.

Beside them a schema is made that fastavro decodes by. It has the same encoding, and gives what is cheapest to turn
into Arrow: integers for dates, times and moments, and lists of pairs for maps of both kinds, which Avro encodes alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lakeflow_io.errors import UnsupportedError

__all__ = ["AvroColumns", "avro_columns"]

_PLAIN: dict[str, Any] = {
    "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
    "bytes": pa.binary(), "string": pa.string(),
}  # fmt: skip
_UNITS = {"millis": "ms", "micros": "us", "nanos": "ns"}
_MOST_DIGITS = 38


@dataclass(frozen=True, slots=True)
class AvroColumns:
    """The columns of a file."""

    schema: pa.Schema
    """As Iceberg means them, with field ids as in the metadata of Parquet's."""
    decoded: pa.Schema
    """As they come from fastavro."""
    record: dict[str, Any]
    """What fastavro decodes records by."""


@dataclass(frozen=True, slots=True)
class _Type:
    kind: pa.DataType
    decoded: pa.DataType
    plain: Any
    """For fastavro."""
    nullable: bool = False


def avro_columns(uri: str, schema: Any) -> AvroColumns:
    """The columns of a file whose records were written with `schema`, from JSON.

    Raises:
        UnsupportedError: one has a type that no Iceberg table has; names the file.
        ValueError, LookupError, TypeError: it is no schema.
    """
    names = _Names(uri)
    found = names.type(schema, "", "the file")
    if not pa.types.is_struct(found.kind) or found.nullable:
        raise ValueError("its records have no fields")
    return AvroColumns(pa.schema(list(found.kind)), pa.schema(list(found.decoded)), found.plain)


class _Names:
    """Translates types; knows those that were named before, which a schema may refer to.

    Args:
        uri: The file, for errors.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._known: dict[str, _Type | None] = {}
        self._made = 0

    def type(self, written: Any, namespace: str, where: str) -> _Type:
        """Translate a type; `where` it is, for errors."""
        if isinstance(written, list):
            return self._union(written, namespace, where)
        if isinstance(written, str) and written not in _PLAIN:
            return self._named(written, namespace, where)
        attributes = {"type": written} if isinstance(written, str) else written
        name = attributes["type"]
        if not isinstance(name, str):
            return self.type(name, namespace, where)
        if name in _PLAIN:
            return self._primitive(name, attributes)
        if name in ("record", "fixed", "enum"):
            full = _full(attributes["name"], attributes.get("namespace", namespace))
            if full in self._known:
                raise ValueError(f"it has two types {full!r}")
            self._known[full] = None  # while it is being made
            found = self._known[full] = self._define(name, full, attributes, where)
            return found
        if name == "array":
            return self._array(attributes, namespace, where)
        if name == "map":
            return self._map(attributes, namespace, where)
        return self._named(name, namespace, where)

    def _refused(self, where: str, what: str) -> UnsupportedError:
        return UnsupportedError(
            f"{self._uri}: {where} is of the Avro type {what}, which is not read.", "rewrite the file as Parquet."
        )

    def _named(self, name: str, namespace: str, where: str) -> _Type:
        full = _full(name, namespace)
        found = self._known.get(full, self._known.get(name))
        if found is None:
            raise self._refused(where, name)
        return _Type(found.kind, found.decoded, full)

    def _union(self, written: list[Any], namespace: str, where: str) -> _Type:
        nulls = [each in ("null", {"type": "null"}) for each in written]
        if nulls.count(False) != 1:
            raise self._refused(where, str(written)[:80])
        found = self.type(written[nulls.index(False)], namespace, where)
        plain = ["null" if null else found.plain for null in nulls]
        return _Type(found.kind, found.decoded, plain, nullable=any(nulls))

    def _primitive(self, name: str, attributes: dict[str, Any]) -> _Type:
        logical = attributes.get("logicalType", "")
        kind = decoded = _PLAIN[name]
        what, _, unit = logical.removeprefix("local-").rpartition("-")
        if logical == "date" and name == "int":
            kind = decoded = pa.date32()
        elif what == "timestamp" and unit in _UNITS and name == "long":
            is_moment = not logical.startswith("local-") and attributes.get("adjust-to-utc") is not False
            zone = "UTC" if is_moment else None
            decoded = pa.timestamp(_UNITS[unit], zone)
            kind = pa.timestamp("us", zone) if unit == "millis" else decoded
        elif logical == "time-micros" and name == "long":
            kind = decoded = pa.time64("us")
        elif logical == "time-millis" and name == "int":
            kind, decoded = pa.time64("us"), pa.time32("ms")
        elif logical == "decimal" and name == "bytes":
            return self._decimal(name, attributes)
        return _Type(kind, decoded, name)

    def _decimal(self, plain: Any, attributes: dict[str, Any]) -> _Type:
        precision, scale = attributes["precision"], attributes.get("scale", 0)
        if not 0 < precision <= _MOST_DIGITS or not 0 <= scale <= precision:
            raise ValueError(f"it has decimals of {precision} digits, {scale} of them behind the point")
        kind = pa.decimal128(precision, scale)
        described = plain if isinstance(plain, dict) else {"type": plain}
        return _Type(kind, kind, {**described, "logicalType": "decimal", "precision": precision, "scale": scale})

    def _define(self, name: str, full: str, attributes: dict[str, Any], where: str) -> _Type:
        if name == "enum":
            plain = {"type": "enum", "name": full, "symbols": attributes["symbols"]}
            return _Type(pa.string(), pa.string(), plain)
        if name == "fixed":
            plain = {"type": "fixed", "name": full, "size": attributes["size"]}
            if attributes.get("logicalType") == "decimal":
                return self._decimal(plain, attributes)
            if attributes.get("logicalType") == "duration":
                raise self._refused(where, "duration")
            return _Type(pa.binary(attributes["size"]), pa.binary(attributes["size"]), plain)
        if attributes.get("logicalType"):
            raise self._refused(where, attributes["logicalType"])
        fields, decoded, plains = [], [], []
        for field in attributes["fields"]:
            found = self.type(field["type"], full.rpartition(".")[0], f"column {field['name']!r}")
            fields.append(_field(field["name"], found, field.get("field-id")))
            decoded.append(pa.field(field["name"], found.decoded, found.nullable))
            plains.append({"name": field["name"], "type": found.plain})
        return _Type(pa.struct(fields), pa.struct(decoded), {"type": "record", "name": full, "fields": plains})

    def _array(self, attributes: dict[str, Any], namespace: str, where: str) -> _Type:
        found = self.type(attributes["items"], namespace, where)
        plain = {"type": "array", "items": found.plain}
        decoded = pa.list_(pa.field("element", found.decoded, found.nullable))
        if attributes.get("logicalType") == "map":
            pair = found.kind
            if found.nullable or not pa.types.is_struct(pair) or [each.name for each in pair] != ["key", "value"]:
                raise ValueError("it has a map of no pairs")
            return _Type(pa.map_(pair.field(0).with_nullable(False), pair.field(1)), decoded, plain)  # noqa: FBT003
        return _Type(pa.list_(_field("element", found, attributes.get("element-id"))), decoded, plain)

    def _map(self, attributes: dict[str, Any], namespace: str, where: str) -> _Type:
        found = self.type(attributes["values"], namespace, where)
        self._made += 1
        pair = [{"name": "key", "type": "string"}, {"name": "value", "type": found.plain}]
        plain = {"type": "array", "items": {"type": "record", "name": f"lakeflow.pair_{self._made}", "fields": pair}}
        key = _field("key", _Type(pa.string(), pa.string(), "string"), attributes.get("key-id"))
        decoded = [pa.field("key", pa.string()), pa.field("value", found.decoded, found.nullable)]
        return _Type(
            pa.map_(key, _field("value", found, attributes.get("value-id"))),
            pa.list_(pa.field("element", pa.struct(decoded))),
            plain,
        )


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _field(name: str, found: _Type, field_id: Any) -> pa.Field:
    metadata = {"PARQUET:field_id": str(field_id)} if field_id is not None else None
    return pa.field(name, found.kind, found.nullable, metadata)
