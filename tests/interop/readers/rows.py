"""Rows of any engine in one plain form, so that two answers can be compared to the bit."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["Rows", "arrow_rows", "spark_rows"]

_SHOWN = 3  # rows in a message
_EXACT = Context(prec=38)
_UUID = re.compile("-".join(f"[0-9a-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12)))  # Spark and DuckDB have texts


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer: the columns' names in order, and the rows as a sorted list of texts that tell every bit."""

    names: tuple[str, ...]
    values: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Rows:
        """From rows of plain values in any order."""
        return cls(tuple(names), tuple(sorted(repr([_text(value) for value in row]) for row in rows)))

    def difference(self, truth: Rows) -> str:
        """What is other than in the truth, in words; empty where nothing is."""
        if self.names != truth.names:
            return f"columns {self.names} instead of {truth.names}"
        if self.values == truth.values:
            return ""
        surplus, missing = list(self.values), []
        for row in truth.values:
            if row in surplus:
                surplus.remove(row)
            else:
                missing.append(row)
        return f"{len(missing)} rows missing {missing[:_SHOWN]}, {len(surplus)} too many {surplus[:_SHOWN]}"


def arrow_rows(data: pa.Table) -> Rows:
    """The rows of an Arrow table."""
    return Rows.of(data.column_names, zip(*(column.to_pylist() for column in data.columns), strict=True))


def spark_rows(frame: Any) -> Rows:
    """The rows of a Spark frame, by its own `collect()`."""
    kinds = [each.dataType for each in frame.schema.fields]
    return Rows.of(
        frame.columns, ([_of_spark(v, k) for v, k in zip(row, kinds, strict=True)] for row in frame.collect())
    )


def _of_spark(value: Any, kind: Any) -> Any:
    """Structs become dicts, maps lists of pairs, and points in time get the zone that Spark leaves out."""
    from pyspark.sql.types import ArrayType, MapType, StructType, TimestampType

    if value is None:
        return None
    if isinstance(kind, StructType):
        return {each.name: _of_spark(value[each.name], each.dataType) for each in kind.fields}
    if isinstance(kind, ArrayType):
        return [_of_spark(each, kind.elementType) for each in value]
    if isinstance(kind, MapType):
        return [(_of_spark(k, kind.keyType), _of_spark(v, kind.valueType)) for k, v in value.items()]
    if isinstance(kind, TimestampType):
        return value.replace(tzinfo=dt.UTC)
    return value


def _text(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, UUID):
        return value.bytes.hex()
    if isinstance(value, dt.datetime):
        zone = "" if value.tzinfo is None else "Z"
        return (value if value.tzinfo is None else value.astimezone(dt.UTC)).replace(tzinfo=None).isoformat() + zone
    if isinstance(value, dt.date | dt.time):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value.normalize(_EXACT):f}"  # Spark has zeroes behind some that others have not
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value).bytes.hex()
    if isinstance(value, dict):
        return {name: _text(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(map(_pair, value), key=repr) if value and _is_map(value) else [_text(each) for each in value]
    return value


def _is_map(value: list[Any]) -> bool:
    """A map is a list of pairs from Arrow, and of structs of a key and a value from Polars."""
    return all(isinstance(e, tuple) or (isinstance(e, dict) and list(e) == ["key", "value"]) for e in value)


def _pair(entry: Any) -> tuple[Any, Any]:
    key, value = entry if isinstance(entry, tuple) else entry.values()
    return _text(key), _text(value)
