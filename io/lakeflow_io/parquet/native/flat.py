"""Which columns decode natively, and as what: a flat column's Parquet type -> an Arrow type and an output."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = ["BITS", "BYTES", "COPY", "DECIMAL", "NARROW", "FlatColumn", "flat_column"]

# Physical types and outputs as decoder.h numbers them.
_PHYSICAL = {"BOOLEAN": 0, "INT32": 1, "INT64": 2, "FLOAT": 4, "DOUBLE": 5, "BYTE_ARRAY": 6, "FIXED_LEN_BYTE_ARRAY": 7}
COPY, DECIMAL, BITS, BYTES, NARROW = range(5)
_DECIMAL_BYTES, _DECIMAL_DIGITS = 16, 38  # of 128 bits
_TIME_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
_UNANNOTATED = {
    "BOOLEAN": (pa.bool_(), BITS),
    "INT32": (pa.int32(), COPY),
    "INT64": (pa.int64(), COPY),
    "FLOAT": (pa.float32(), COPY),
    "DOUBLE": (pa.float64(), COPY),
    "BYTE_ARRAY": (pa.binary(), BYTES),
}
_ANNOTATED = {
    ("STRING", "BYTE_ARRAY"): (pa.string(), BYTES),
    ("DATE", "INT32"): (pa.date32(), COPY),
}
_INTEGERS = {
    ("INT32", 8, True): (pa.int8(), NARROW),
    ("INT32", 16, True): (pa.int16(), NARROW),
    ("INT32", 32, True): (pa.int32(), COPY),
    ("INT64", 64, True): (pa.int64(), COPY),
    ("INT32", 8, False): (pa.uint8(), NARROW),
    ("INT32", 16, False): (pa.uint16(), NARROW),
    ("INT32", 32, False): (pa.uint32(), COPY),
    ("INT64", 64, False): (pa.uint64(), COPY),
}


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """How the chunks of one column of a file decode; the same for all its row groups."""

    type: pa.DataType
    physical: int
    width: int
    """Bytes: of a value of fixed length in the file, or of a narrow integer; 0 for all others."""
    optional: bool
    output: int

    def values_size(self, rows: int) -> int:
        """Bytes of the Arrow buffer that holds the values, or the offsets of strings."""
        if self.output == BYTES:
            return (rows + 1) * 4
        if self.output == BITS:
            return (rows + 7) // 8
        if self.output == DECIMAL:
            return rows * _DECIMAL_BYTES
        return rows * (self.width or self.type.bit_width // 8)


def flat_column(column: Any) -> FlatColumn | None:
    """How to decode a leaf column natively; None where pyarrow has to.

    Args:
        column: A `pyarrow.parquet.ColumnSchema`.
    """
    physical = _PHYSICAL.get(column.physical_type)
    if physical is None or column.max_repetition_level > 0 or column.max_definition_level > 1 or "." in column.path:
        return None
    found = _arrow_type(column)
    if found is None:
        return None
    kind, output = found
    width = kind.bit_width // 8 if output == NARROW else column.length or 0
    return FlatColumn(kind, physical, width, column.max_definition_level == 1, output)


def _arrow_type(column: Any) -> tuple[pa.DataType, int] | None:
    """The Arrow type of a column, which is pyarrow's, and how its values are made."""
    physical, logical = column.physical_type, column.logical_type
    name = logical.type
    if physical == "FIXED_LEN_BYTE_ARRAY":
        return _fixed_length(column, name)
    if name == "NONE":
        return _UNANNOTATED.get(physical)
    if name == "DECIMAL" and physical in ("INT32", "INT64"):
        return _decimal(column)
    if name == "INT":
        told = json.loads(logical.to_json())
        return _INTEGERS.get((physical, told.get("bitWidth"), told.get("isSigned")))
    if name in ("TIMESTAMP", "TIME"):
        return _time_type(name, physical, json.loads(logical.to_json()))
    return _ANNOTATED.get((name, physical))


def _fixed_length(column: Any, name: str) -> tuple[pa.DataType, int] | None:
    if name == "DECIMAL":
        return _decimal(column) if column.length <= _DECIMAL_BYTES else None
    if name == "FLOAT16":
        return pa.float16(), COPY
    return (pa.binary(column.length), COPY) if name in ("NONE", "UUID") else None


def _decimal(column: Any) -> tuple[pa.DataType, int] | None:
    return (pa.decimal128(column.precision, column.scale), DECIMAL) if column.precision <= _DECIMAL_DIGITS else None


def _time_type(name: str, physical: str, told: dict[str, Any]) -> tuple[pa.DataType, int] | None:
    unit = _TIME_UNITS.get(told.get("timeUnit", ""))
    if unit is None:
        return None
    if name == "TIMESTAMP":
        zone = "UTC" if told.get("isAdjustedToUTC") else None
        return (pa.timestamp(unit, zone), COPY) if physical == "INT64" else None
    if physical == "INT32":
        return (pa.time32(unit), COPY) if unit == "ms" else None
    return (pa.time64(unit), COPY) if physical == "INT64" and unit != "ms" else None
