"""What is known of a column's values in each of many files: bounds, and whether there are nulls or NaN."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyiceberg.types import IcebergType

    from lakeflow_io.iceberg.manifests.program import Slot

__all__ = ["Ends", "Ranges", "exact_ends", "serialized_ends"]

# Bytes of a bound -> how it is read: https://iceberg.apache.org/spec/#binary-single-value-serialization. A column that
# was promoted has older bounds of its former width.
_WIDTHS = {
    "boolean": {1: "<i1"},
    "int": {4: "<i4"},
    "date": {4: "<i4"},
    "long": {8: "<i8", 4: "<i4"},
    "float": {4: "<f4"},
    "double": {8: "<f8", 4: "<f4"},
} | {name: {8: "<i8"} for name in ("time", "timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns")}
_TEXTS = ("string", "binary", "fixed")
# Iceberg type -> the Avro types, with their logical types, whose values are the same.
_AVRO = {
    "boolean": ("boolean",),
    "int": ("int",),
    "long": ("int", "long"),
    "date": ("int", "int:date"),
    "time": ("long", "long:time-micros"),
    "timestamp": ("long", "long:timestamp-micros", "long:local-timestamp-micros"),
    "timestamptz": ("long", "long:timestamp-micros"),
    "timestamp_ns": ("long", "long:timestamp-nanos", "long:local-timestamp-nanos"),
    "timestamptz_ns": ("long", "long:timestamp-nanos"),
    "float": ("float",),
    "double": ("float", "double"),
    "string": ("string",),
    "binary": ("bytes",),
    "fixed": ("fixed",),
}
_DECIMAL = re.compile(r"decimal\((\d+), (\d+)\)")
_WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Ends:
    """One value for each file: a lower or an upper bound."""

    values: Any
    """A numpy array, or a binary Arrow array for text, bytes and fixed."""
    known: NDArray[np.bool_]
    """Where there is one."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """One column in many files; each array has an element for each."""

    low: Ends | None
    """None where nothing is known of any."""
    high: Ends | None
    nulls: NDArray[np.bool_]
    """Whether there may be nulls."""
    values: NDArray[np.bool_]
    """Whether there may be others."""
    numbers: NDArray[np.bool_]
    """Whether there may be others that aren't NaN."""
    nans: NDArray[np.bool_]
    """Whether there may be NaN."""
    exact: bool = False
    """Bounds are values, none of which was cut."""


def type_name(kind: IcebergType) -> str:
    """Of a type without its parameters."""
    return str(kind).partition("[")[0].partition("(")[0]


def serialized_ends(column: pa.Array | None, kind: IcebergType) -> Ends | None:
    """Bounds in Iceberg's binary form, as values of the column's type; what can't be one is unknown."""
    if column is None:
        return None
    name = type_name(kind)
    known = ~column.is_null().to_numpy(zero_copy_only=False) if column.null_count else np.ones(len(column), bool)
    if name in _TEXTS:
        return Ends(column, known)
    lengths, starts, data = _parts(column)
    if name == "decimal":
        return _decimals(lengths, starts, data, known)
    widths = _WIDTHS.get(name)
    if widths is None:
        return None
    values = np.zeros(len(column), np.float64 if name in ("float", "double") else np.int64)
    found = np.zeros(len(column), bool)
    for width, form in widths.items():
        here = known & (lengths == width)
        values[here] = _gather(data, starts[here], width).view(form).reshape(-1)
        found |= here
    return Ends(values, found & ~np.isnan(values))


def _parts(column: pa.Array) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Lengths, starts and bytes of a binary array."""
    _, offsets, data = column.buffers()
    at = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.diff(at), at[:-1], np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)


def _gather(data: NDArray[Any], starts: NDArray[Any], width: int) -> NDArray[Any]:
    if (
        len(starts)
        and int(starts[-1]) - int(starts[0]) == (len(starts) - 1) * width
        and np.all(np.diff(starts) == width)
    ):
        return data[starts[0] : starts[-1] + width]  # one behind the other, as they nearly always are
    return data[starts[:, None] + np.arange(width)].reshape(-1) if len(starts) else np.zeros(0, np.uint8)


def _decimals(lengths: NDArray[Any], starts: NDArray[Any], data: NDArray[Any], known: NDArray[Any]) -> Ends:
    """Unscaled, from big-endian bytes of any number."""
    raw = data.tobytes()
    whole = [
        int.from_bytes(raw[start : start + length], "big", signed=True)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]
    fits = not len(lengths) or int(lengths.max()) <= _WORD_BYTES
    return Ends(np.array(whole, np.int64 if fits else object), known & (lengths > 0))


def exact_ends(column: pa.Array | None, slot: Slot | None, kind: IcebergType) -> Ends | None:
    """Partition values as values of a type; None where they aren't of it, as after some changes of a column's type."""
    if column is None or slot is None:
        return None
    name = type_name(kind)
    known = ~column.is_null().to_numpy(zero_copy_only=False) if column.null_count else np.ones(len(column), bool)
    if name == "decimal":
        expected, found = _DECIMAL.fullmatch(str(kind)), _DECIMAL.fullmatch(slot.logical)
        if not expected or not found or expected[2] != found[2]:
            return None
        lengths, starts, data = _parts(column)
        return _decimals(np.where(known, lengths, 0), starts, data, known)
    if f"{slot.type}:{slot.logical}".rstrip(":") not in _AVRO.get(name, ()):
        return None
    if name in _TEXTS:
        return Ends(column, known)
    values = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
    values = values.astype(np.float64 if name in ("float", "double") else np.int64, copy=False)
    return Ends(values, known)
