"""An engine's filter as a small tree, and the Iceberg predicate that it implies.

Engines differ where Iceberg is silent: Polars and DuckDB hold NaN for the largest number and equal to
itself, Arrow for neither; `is_in` of a null is null in one and false in another. So nothing is
translated as it stands. `weaker` gives a predicate that is true for every row for which the filter
is true under any of these readings, and None where that can't be told. Files and row groups are
pruned with it; the engine's own filter, applied to what is left, makes the answer exact.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.expressions import BooleanExpression

__all__ = [
    "Both",
    "Compare",
    "Condition",
    "Either",
    "IsNull",
    "Not",
    "OneOf",
    "StartsWith",
    "Unknown",
    "all_of",
    "conjuncts",
    "weaker",
]


@dataclass(frozen=True, slots=True)
class Compare:
    """A column beside a value; null where the column is null."""

    column: str
    operator: str
    """One of `== != < <= > >=`."""
    value: Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """A column's value among others; null where the column is null."""

    column: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A text that begins with another; null where the column is null."""

    column: str
    prefix: Any


@dataclass(frozen=True, slots=True)
class IsNull:
    """True or false, never null."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; null stays null."""

    child: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """And, with three values."""

    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Either:
    """Or, with three values."""

    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else."""


Condition: TypeAlias = Compare | OneOf | StartsWith | IsNull | Not | Both | Either | Unknown

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def conjuncts(condition: Condition) -> list[Condition]:
    """The parts that must all be true."""
    return _operands(condition, Both)


def _operands(condition: Condition, kind: type[Both | Either]) -> list[Condition]:
    """What a chain of one kind joins, however long: engines chain hundreds, and nest them all one way."""
    found: list[Condition] = []
    queue = [condition]
    while queue:
        part = queue.pop()
        if isinstance(part, kind):
            queue += [part.right, part.left]
        else:
            found.append(part)
    return found


def weaker(condition: Condition, schema: pa.Schema, *, negated: bool = False) -> BooleanExpression | None:
    """A predicate that is true wherever `condition` is (false, if `negated`); None if none is known.

    Args:
        condition: Part of an engine's filter.
        schema: The columns and their types; one that isn't in it is unknown.
        negated: Whether the rows wanted are those for which the condition is false.
    """
    match condition:
        case Not(child):
            return weaker(child, schema, negated=not negated)
        case Both() | Either():
            parts = [weaker(each, schema, negated=negated) for each in _operands(condition, type(condition))]
            return _all(parts) if isinstance(condition, Both) != negated else _any(parts)
        case Unknown():
            return None
        case _:
            position = schema.get_field_index(condition.column)
            return None if position < 0 else _atom(condition, schema.field(position).type, negated=negated)


def all_of(predicates: Sequence[BooleanExpression]) -> BooleanExpression:
    """One predicate that is true where all of them are; there is at least one."""
    from pyiceberg.expressions import And

    return And(*predicates) if len(predicates) > 1 else predicates[0]


def _all(parts: list[BooleanExpression | None]) -> BooleanExpression | None:
    known = [part for part in parts if part is not None]
    return all_of(known) if known else None


def _any(parts: list[BooleanExpression | None]) -> BooleanExpression | None:
    from pyiceberg.expressions import Or

    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return Or(*known) if len(known) > 1 else known[0]


def _iceberg() -> Any:
    # Its classes take a column's name where their annotations say a term.
    from pyiceberg import expressions

    return expressions


def _atom(atom: Compare | OneOf | StartsWith | IsNull, kind: pa.DataType, *, negated: bool) -> BooleanExpression | None:
    iceberg = _iceberg()
    match atom:
        case IsNull(column):
            if pa.types.is_nested(kind):
                return None
            return iceberg.NotNull(column) if negated else iceberg.IsNull(column)
        case StartsWith(column, prefix):
            if not (_is_text(kind) and isinstance(prefix, str)):
                return None
            return iceberg.StartsWith(column, prefix) if prefix and not negated else iceberg.NotNull(column)
        case OneOf(column, values):
            return _one_of(column, values, kind, negated=negated)
        case Compare(column, operator, value):
            return _compare(column, _OPPOSITE[operator] if negated else operator, value, kind, negated=negated)


def _compare(column: str, operator: str, value: Any, kind: pa.DataType, *, negated: bool) -> BooleanExpression | None:
    value = _exact(value, kind)
    if value is None:
        return None
    iceberg = _iceberg()
    classes = {
        "==": iceberg.EqualTo,
        "!=": iceberg.NotEqualTo,
        "<": iceberg.LessThan,
        "<=": iceberg.LessThanOrEqual,
        ">": iceberg.GreaterThan,
        ">=": iceberg.GreaterThanOrEqual,
    }
    found: BooleanExpression = classes[operator](column, value)
    if pa.types.is_floating(kind) and (negated or operator in (">", ">=", "!=")):
        return _any([found, iceberg.IsNaN(column)])
    return found


def _one_of(column: str, values: tuple[Any, ...], kind: pa.DataType, *, negated: bool) -> BooleanExpression | None:
    wanted = [_exact(value, kind) for value in values if value is not None]
    if not wanted or None in wanted:
        return None
    iceberg = _iceberg()
    if not pa.types.is_floating(kind):
        outside = [iceberg.NotIn(column, wanted), iceberg.NotNull(column)]
        return _all(outside) if negated else iceberg.In(column, wanted)
    # Sets of floats tell 0.0 from -0.0 in some libraries; a range doesn't.
    inside = [iceberg.GreaterThanOrEqual(column, min(wanted)), iceberg.LessThanOrEqual(column, max(wanted))]
    return iceberg.NotNull(column) if negated else _all(inside)


def _exact(value: Any, kind: pa.DataType) -> Any:
    """A value as one of the column's type; None where that would round it, or Iceberg can't compare it."""
    if pa.types.is_decimal(kind):  # of any scale: `Scan.where` compares numbers
        if isinstance(value, Decimal):
            return value if value.is_finite() else None
        return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None
    return value if _comparable(value, kind) else None


def _comparable(value: Any, kind: pa.DataType) -> bool:
    of = pa.types
    if isinstance(value, bool):
        return of.is_boolean(kind)
    if isinstance(value, int):
        return of.is_int32(kind) or of.is_int64(kind)
    if isinstance(value, float):
        return math.isfinite(value) and (of.is_float64(kind) or (of.is_float32(kind) and _is_single(value)))
    if isinstance(value, str):
        return _is_text(kind)
    if isinstance(value, datetime):
        return of.is_timestamp(kind) and kind.unit == "us" and (kind.tz is None) == (value.tzinfo is None)
    return isinstance(value, date) and of.is_date32(kind)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_single(value: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False
