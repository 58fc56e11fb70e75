"""A column chunk's statistics -> bounds that hold for each of its values.

pyarrow hides statistics that are known to be wrong: those of writers that ordered bytes as signed,
of column orders it does not know, of INT96. What is left to distrust is decided here. Bounds are
taken raw and decoded here, which is exact and costs a third of pyarrow's logical values. pyarrow 26
does not tell whether a bound is exact, so none is taken to be: see `Bounds`.

Statistics of fixed-length bytes are never asked for: writers may cut them (parquet-rs does, behind 64
bytes), and pyarrow ends the process at a bound that is shorter than its column. Decimals aren't cut.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ALL_NULL", "UNKNOWN", "Bounds", "Stored", "chunk_bounds", "stored_as"]

_NANOSECONDS = {"milliseconds": 1_000_000, "microseconds": 1000, "nanoseconds": 1}
# Logical and physical type -> family, where these say all.
_FAMILIES = {
    ("None", "INT32"): "int32",
    ("None", "INT64"): "int64",
    ("Int", "INT32"): "int32",
    ("Int", "INT64"): "int64",
    ("None", "FLOAT"): "float",
    ("None", "DOUBLE"): "double",
    ("None", "BOOLEAN"): "boolean",
    ("String", "BYTE_ARRAY"): "string",
    ("None", "BYTE_ARRAY"): "binary",
    ("Date", "INT32"): "date",
}
# parquet-mr ordered decimals that are stored as bytes by their bytes until 1.10 (PARQUET-686).
_ORDERED_BY_BYTES = re.compile(r"parquet-mr( version)? (0|1\.[0-9])(\D|$)")


class Bounds(NamedTuple):
    """What is known of the values of one column in one row group."""

    low: Any
    """No value is smaller; None where that is unknown. NaN has no bounds."""
    high: Any
    """No value is larger; of text and bytes, but for those that begin with it: it may be cut short."""
    nulls: bool
    """Some may be null."""
    values: bool
    """Some may be something else than null."""


UNKNOWN = Bounds(None, None, nulls=True, values=True)
ALL_NULL = Bounds(None, None, nulls=True, values=False)


class Stored(NamedTuple):
    """How a leaf column stores its values, and how their bounds are decoded."""

    family: str
    """int32, int64, float, double, boolean, string, binary, decimal, date, time, timestamp or timestamptz."""
    unit: int
    """Nanoseconds of a time, scale of a decimal; else 0."""
    decode: Callable[[Any], Any] | None
    """Raw bound -> int, bool, float or bytes; None where it is that already."""


def stored_as(column: Any, writer: str | None) -> Stored | None:
    """How a leaf stores its values; None where its bounds are of no use.

    Args:
        column: A `pyarrow.parquet.ColumnSchema`.
        writer: The file's `created_by`.
    """
    if column.max_repetition_level > 0:
        return None
    physical = column.physical_type
    logical = json.loads(column.logical_type.to_json())
    name = logical["Type"]
    if name == "Int" and not logical["isSigned"]:
        return None
    if name == "Decimal":
        in_bytes = physical.endswith("BYTE_ARRAY")
        distrusted = in_bytes and _ORDERED_BY_BYTES.match(writer or "")
        return None if distrusted else Stored("decimal", logical["scale"], _unscaled if in_bytes else None)
    if name == "Timestamp":
        family = "timestamptz" if logical["isAdjustedToUTC"] else "timestamp"
        return Stored(family, _NANOSECONDS[logical["timeUnit"]], None)
    if name == "Time":
        return Stored("time", _NANOSECONDS[logical["timeUnit"]], None)
    plain = _FAMILIES.get((name, physical))
    return Stored(plain, 0, None) if plain else None


def _unscaled(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


def chunk_bounds(chunk: Any, rows: int, decode: Callable[[Any], Any] | None, *, required: bool = False) -> Bounds:
    """What the statistics of a column chunk say.

    Args:
        chunk: A `pyarrow.parquet.ColumnChunkMetaData` of a column for which `stored_as` has an answer.
        rows: Of its row group.
        decode: From `Stored`, or one of the caller's own that keeps the order.
        required: The column can hold no null.
    """
    statistics = chunk.statistics
    if statistics is None:
        return UNKNOWN
    count = 0 if required else statistics.null_count
    low, high = statistics.min_raw, statistics.max_raw
    if low is not None and decode is not None:
        low, high = decode(low), decode(high)
    if low is None or not low <= high:  # NaN compares with nothing
        low = high = None
    return Bounds(low, high, count != 0, count is None or count != rows)
