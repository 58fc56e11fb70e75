"""Values of Iceberg types and bounds of Parquet columns -> plain values that compare with each other."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.types import DecimalType

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.types import IcebergType

    from lakeflow_io.parquet.statistics import Stored

__all__ = ["bounds_decoder", "comparable"]

# Iceberg type -> the column families whose values it reads as they are, or promoted.
_READS = {
    "int": ("int32",),
    "long": ("int32", "int64"),
    "float": ("float",),
    "double": ("float", "double"),
    "boolean": ("boolean",),
    "string": ("string",),
    "binary": ("binary",),
    "decimal": ("decimal",),
    "date": ("date",),
    "time": ("time",),
    "timestamp": ("timestamp",),
    "timestamptz": ("timestamptz",),
    "timestamp_ns": ("timestamp",),
    "timestamptz_ns": ("timestamptz",),
}
_FLOATS = {"float": pa.float32(), "double": pa.float64()}
# What other values are in Python.
_PYTHON: dict[str, type] = {"boolean": bool, "binary": bytes, "fixed": bytes} | dict.fromkeys(
    ("int", "long", "date", "time", "timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns"), int
)
# Nanoseconds of the types that count time.
_UNITS = {"time": 1000, "timestamp": 1000, "timestamptz": 1000, "timestamp_ns": 1, "timestamptz_ns": 1}


def comparable(value: Any, kind: IcebergType) -> Any:
    """A literal, default or partition value as int, bool, float or bytes; None where it has no order with others.

    Text becomes UTF-8, a decimal its unscaled value, and a float what the column's width makes of it,
    as in the exact filter. Dates and times are integers already. NaN is None.
    """
    name = _name(kind)
    if isinstance(value, Decimal):
        return _unscaled(value, kind.scale) if isinstance(kind, DecimalType) else None
    if name in {"float", "double"} and isinstance(value, int | float):
        number = pa.scalar(float(value), _FLOATS[name]).as_py()
        return None if math.isnan(number) else number
    if name == "string" and isinstance(value, str):
        return value.encode()
    return value if isinstance(value, _PYTHON.get(name, type(None))) else None


def _name(kind: IcebergType) -> str:
    """Of a type without its parameters."""
    return str(kind).partition("[")[0].partition("(")[0]


def _unscaled(value: Decimal, scale: int) -> int | None:
    # Arithmetic on a Decimal rounds to its context's 28 digits.
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or exponent + scale < 0:
        return None
    size = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return -size if sign else size


def bounds_decoder(kind: IcebergType, stored: Stored) -> tuple[bool, Callable[[Any], Any] | None]:
    """How a column's raw bounds become comparable with values of the table's type.

    Returns:
        Whether they can be at all, and the function for it; None where they are already.
    """
    name = _name(kind)
    if stored.family not in _READS.get(name, ()):
        return False, None
    if isinstance(kind, DecimalType):
        return stored.unit == kind.scale, stored.decode
    if name in _UNITS:
        factor, rest = divmod(stored.unit, _UNITS[name])
        return rest == 0, (factor.__mul__ if factor > 1 and rest == 0 else None)
    return True, stored.decode
