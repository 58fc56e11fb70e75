"""A bound predicate -> a function of column bounds: can a row match, does every row?

It agrees with the exact filter (`internals.arrow_filter`), not with Iceberg's own evaluators: a
comparison with null is not true, `not in` is true of null, and NaN is unequal to all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pyiceberg.expressions.visitors import BoundBooleanExpressionVisitor, visit
from pyiceberg.types import BinaryType, DoubleType, FloatType, StringType

from lakeflow_io.iceberg.comparable import comparable

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.types import IcebergType

    from lakeflow_io.parquet.statistics import Bounds

__all__ = ["Judge", "Match", "judge_of"]


class Match(IntEnum):
    """How many rows of a row group pass the filter."""

    NONE = 0
    SOME = 1
    """Any number: the exact filter has to look."""
    ALL = 2


Judge = Callable[[Mapping[int, "Bounds"]], Match]
"""Bounds by field id -> match."""
_Possible = Callable[[Any, Any], bool]
"""Low and high bound -> can a value between them fulfil a condition?"""


def judge_of(bound: BooleanExpression) -> tuple[Judge, dict[int, IcebergType]]:
    """Compile a bound predicate.

    Returns:
        The function, and the type by field id of each column that it looks at.
    """
    compiler = _Compiler()
    judge = visit(bound, compiler)
    return judge, compiler.columns


class _Compiler(BoundBooleanExpressionVisitor[Judge]):
    """Each predicate is a pair: what can be true between two bounds, and what can be false."""

    def __init__(self) -> None:
        self.columns: dict[int, IcebergType] = {}

    def _column(self, term: Any) -> tuple[int, IcebergType]:
        field = term.ref().field
        self.columns[field.field_id] = field.field_type
        return field.field_id, field.field_type

    def _compare(self, term: Any, literal: Any, true: str, false: str) -> Judge:
        field_id, kind = self._column(term)
        value = comparable(literal.value, kind)
        if value is None:
            return _leaf(field_id, _always, _always)
        conditions = _text_conditions(value) if _is_text(kind) else _conditions(value)
        nan = isinstance(kind, FloatType | DoubleType)
        can_be_true = _always if nan and true == "!=" else conditions[true]
        return _leaf(field_id, can_be_true, _always if nan else conditions[false])

    def visit_equal(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, "=", "!=")

    def visit_not_equal(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, "!=", "=")

    def visit_less_than(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, "<", ">=")

    def visit_less_than_or_equal(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, "<=", ">")

    def visit_greater_than(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, ">", "<=")

    def visit_greater_than_or_equal(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, ">=", "<")

    def visit_starts_with(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, "like", "not like")

    def visit_not_starts_with(self, term: Any, literal: Any) -> Judge:
        return self._compare(term, literal, "not like", "like")

    def visit_in(self, term: Any, literals: set[Any]) -> Judge:
        field_id, can_be_in, can_be_out = self._membership(term, literals)
        return _leaf(field_id, can_be_in, can_be_out)

    def visit_not_in(self, term: Any, literals: set[Any]) -> Judge:
        field_id, can_be_in, can_be_out = self._membership(term, literals)
        return _leaf(field_id, can_be_out, can_be_in, null_passes=True)

    def _membership(self, term: Any, literals: set[Any]) -> tuple[int, _Possible, _Possible]:
        field_id, kind = self._column(term)
        values = [comparable(literal, kind) for literal in literals]
        if None in values:
            return field_id, _always, _always
        values.sort()
        if _is_text(kind):
            return field_id, _text_between(values), _always
        if isinstance(kind, FloatType | DoubleType):
            # Sets tell -0.0 from 0.0, and NaN may be in the column: it is never certain what is out.
            return field_id, _between(values), _always
        known = frozenset(values)
        return field_id, _between(values), lambda low, high: low != high or low not in known

    def visit_is_nan(self, term: Any) -> Judge:
        return _leaf(self._column(term)[0], _always, _always)

    def visit_not_nan(self, term: Any) -> Judge:
        return _leaf(self._column(term)[0], _always, _always)

    def visit_is_null(self, term: Any) -> Judge:
        field_id, _ = self._column(term)

        def judge(columns: Mapping[int, Bounds]) -> Match:
            _, _, nulls, values = columns[field_id]
            return (Match.SOME if values else Match.ALL) if nulls else Match.NONE

        return judge

    def visit_not_null(self, term: Any) -> Judge:
        field_id, _ = self._column(term)

        def judge(columns: Mapping[int, Bounds]) -> Match:
            _, _, nulls, values = columns[field_id]
            return (Match.SOME if nulls else Match.ALL) if values else Match.NONE

        return judge

    def visit_true(self) -> Judge:
        return lambda _: Match.ALL

    def visit_false(self) -> Judge:
        return lambda _: Match.NONE

    def visit_not(self, child_result: Judge) -> Judge:
        # What isn't true may be null, of which `not` isn't true either.
        return lambda columns: Match.NONE if child_result(columns) is Match.ALL else Match.SOME

    def visit_and(self, left_result: Judge, right_result: Judge) -> Judge:
        def judge(columns: Mapping[int, Bounds]) -> Match:
            left = left_result(columns)
            return left if left is Match.NONE else min(left, right_result(columns))

        return judge

    def visit_or(self, left_result: Judge, right_result: Judge) -> Judge:
        def judge(columns: Mapping[int, Bounds]) -> Match:
            left = left_result(columns)
            return left if left is Match.ALL else max(left, right_result(columns))

        return judge


def _leaf(field_id: int, can_be_true: _Possible, can_be_false: _Possible, *, null_passes: bool = False) -> Judge:
    def judge(columns: Mapping[int, Bounds]) -> Match:
        low, high, nulls, values = columns[field_id]
        if not values:
            return Match.ALL if null_passes else Match.NONE
        if low is None:
            return Match.SOME
        if not can_be_true(low, high):
            return Match.SOME if nulls and null_passes else Match.NONE
        if (nulls and not null_passes) or can_be_false(low, high):
            return Match.SOME
        return Match.ALL

    return judge


def _always(_low: Any, _high: Any) -> bool:
    return True


def _is_text(kind: IcebergType) -> bool:
    return isinstance(kind, StringType | BinaryType)


def _conditions(value: Any) -> dict[str, _Possible]:
    return {
        "<": lambda low, _: low < value,
        "<=": lambda low, _: low <= value,
        ">": lambda _, high: high > value,
        ">=": lambda _, high: high >= value,
        "=": lambda low, high: low <= value <= high,
        "!=": lambda low, high: low != value or high != value,
    }


def _text_conditions(value: bytes) -> dict[str, _Possible]:
    """As `_conditions`, where a value may be longer than the upper bound that it begins with."""

    def reaches(_: bytes, high: bytes) -> bool:
        return high >= value or value.startswith(high)

    size = len(value)
    return {
        "<": lambda low, _: low < value,
        "<=": lambda low, _: low <= value,
        ">": reaches,
        ">=": reaches,
        "=": lambda low, high: low <= value and reaches(low, high),
        "!=": _always,
        "like": lambda low, high: low[:size] <= value and reaches(low, high),
        "not like": lambda low, high: not (low.startswith(value) and high.startswith(value)),
    }


def _between(values: list[Any]) -> _Possible:
    def possible(low: Any, high: Any) -> bool:
        first = bisect_left(values, low)
        return first < len(values) and values[first] <= high

    return possible


def _text_between(values: list[bytes]) -> _Possible:
    def possible(low: bytes, high: bytes) -> bool:
        first = bisect_left(values, low)
        return first < len(values) and (values[first] <= high or values[first].startswith(high))

    return possible
