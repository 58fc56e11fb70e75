"""A bound predicate and what is known of columns -> the files in which a row can match, all at once.

Vectorised `iceberg/verdict.py`, and of one mind with it and so with the exact filter: a comparison with
null is not true, `not in` is true of null, and NaN is unequal to all. Where something is unknown, a row can
match.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions.visitors import BoundBooleanExpressionVisitor, visit
from pyiceberg.types import BinaryType, DoubleType, FixedType, FloatType, StringType

from lakeflow_io.iceberg.comparable import comparable

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.types import IcebergType

    from lakeflow_io.iceberg.manifests.ranges import Ends, Ranges

    Mask = NDArray[np.bool_]

__all__ = ["possible"]

# Literals of an `in` that are each compared with text; of more, only the least and the greatest.
_MOST_TEXTS = 100


def possible(bound: BooleanExpression, ranges: Callable[[int, IcebergType], Ranges], files: int) -> Mask:
    """Where a row can match.

    Args:
        bound: A bound predicate.
        ranges: What is known of a column, by its field id and type.
        files: How many there are.
    """
    return visit(bound, _Visitor(ranges, files))


class _Visitor(BoundBooleanExpressionVisitor["Mask"]):
    def __init__(self, ranges: Callable[[int, IcebergType], Ranges], files: int) -> None:
        self._ranges, self._files = ranges, files

    def _all(self) -> Mask:
        return np.ones(self._files, bool)

    def _column(self, term: Any) -> tuple[Ranges, IcebergType]:
        field = term.ref().field
        return self._ranges(field.field_id, field.field_type), field.field_type

    def _compare(self, term: Any, literal: Any, operator: str) -> Mask:
        column, kind = self._column(term)
        value = comparable(literal.value, kind)
        if value is None:
            return column.values
        rule = _text_rule if isinstance(kind, StringType | BinaryType | FixedType) else _number_rule
        found = rule(column, value, operator)
        if operator in ("!=", "not like"):
            return column.values & (found | column.nans)
        return column.numbers & found

    def visit_equal(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, "=")

    def visit_not_equal(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, "!=")

    def visit_less_than(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, "<")

    def visit_less_than_or_equal(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, "<=")

    def visit_greater_than(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, ">")

    def visit_greater_than_or_equal(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, ">=")

    def visit_starts_with(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, "like")

    def visit_not_starts_with(self, term: Any, literal: Any) -> Mask:
        return self._compare(term, literal, "not like")

    def visit_in(self, term: Any, literals: set[Any]) -> Mask:
        column, kind = self._column(term)
        values = [comparable(literal, kind) for literal in literals]
        if None in values:
            return column.values
        values.sort()
        is_text = isinstance(kind, StringType | BinaryType | FixedType)
        return column.numbers & (_text_in(column, values) if is_text else _number_in(column, values))

    def visit_not_in(self, term: Any, literals: set[Any]) -> Mask:
        column, kind = self._column(term)
        values = [comparable(literal, kind) for literal in literals]
        rest = column.nulls | column.nans
        # Sets tell -0.0 from 0.0, which bounds don't.
        if None in values or isinstance(kind, StringType | BinaryType | FixedType | FloatType | DoubleType):
            return rest | column.values
        same = _number_rule(column, values[0], "!=") if values else self._all()
        for value in values[1:_MOST_TEXTS]:
            same &= _number_rule(column, value, "!=")
        return rest | (column.values & same)

    def visit_is_nan(self, term: Any) -> Mask:
        return self._column(term)[0].nans

    def visit_not_nan(self, term: Any) -> Mask:
        del term
        return self._all()

    def visit_is_null(self, term: Any) -> Mask:
        return self._column(term)[0].nulls

    def visit_not_null(self, term: Any) -> Mask:
        return self._column(term)[0].values

    def visit_true(self) -> Mask:
        return self._all()

    def visit_false(self) -> Mask:
        return ~self._all()

    def visit_not(self, child_result: Mask) -> Mask:
        del child_result  # says where a row can match, not where each does
        return self._all()

    def visit_and(self, left_result: Mask, right_result: Mask) -> Mask:
        return left_result & right_result

    def visit_or(self, left_result: Mask, right_result: Mask) -> Mask:
        return left_result | right_result


_Test = Callable[[Any], Any]


def _where(ends: Ends | None, test: _Test, size: int) -> Mask:
    """Where bounds pass a test, or are unknown."""
    if ends is None:
        return np.ones(size, bool)
    passes = test(ends.values)
    if isinstance(passes, pa.Array | pa.ChunkedArray):
        passes = passes.fill_null(True).to_numpy(zero_copy_only=False)  # noqa: FBT003  (pyarrow's signature)
    return ~ends.known | np.asarray(passes, bool)


def _number_rule(column: Ranges, value: Any, operator: str) -> Mask:
    def low(test: _Test) -> Mask:
        return _where(column.low, test, len(column.values))

    def high(test: _Test) -> Mask:
        return _where(column.high, test, len(column.values))

    if operator == "<":
        return low(lambda ends: ends < value)
    if operator == "<=":
        return low(lambda ends: ends <= value)
    if operator == ">":
        return high(lambda ends: ends > value)
    if operator == ">=":
        return high(lambda ends: ends >= value)
    if operator == "=":
        return low(lambda ends: ends <= value) & high(lambda ends: ends >= value)
    return low(lambda ends: ends != value) | high(lambda ends: ends != value)


def _text_rule(column: Ranges, value: bytes, operator: str) -> Mask:
    size = len(column.values)

    def low(name: str, *cut: int) -> Mask:
        return _where(column.low, lambda ends: _call(name, _begin(ends, *cut), value), size)

    if operator in ("<", "<="):
        return low("less" if operator == "<" else "less_equal")
    if operator == ">" and column.exact:
        return _where(column.high, lambda ends: _call("greater", ends, value), size)
    if operator in (">", ">="):
        return _reaches(column, value)
    if operator == "=":
        return low("less_equal") & _reaches(column, value)
    if operator == "like":
        cut = len(value)
        above = _where(column.high, lambda ends: _call("greater_equal", _begin(ends, cut), value), size)
        return low("less_equal", cut) & (above if column.exact else _reaches(column, value))
    if operator == "!=":
        return low("not_equal") if column.exact else np.ones(size, bool)
    starts = [
        _where(ends, lambda each: pc.call_function("invert", [_starts(each, value)]), size)
        for ends in (column.low, column.high)
    ]
    return starts[0] | starts[1]


def _reaches(column: Ranges, value: bytes) -> Mask:
    """Where a value can be as great as this one; it may be longer than the bound that it begins with."""

    def test(ends: Any) -> Any:
        found = _call("greater_equal", ends, value)
        if column.exact:
            return found
        cuts = pa.array([value[:length] for length in range(len(value))], pa.binary())
        if not len(cuts):
            return found
        begins = pc.call_function("is_in", [ends.cast(pa.binary())], pc.SetLookupOptions(cuts))
        return pc.call_function("or", [found, begins])

    return _where(column.high, test, len(column.values))


def _call(name: str, ends: Any, value: bytes) -> Any:
    return pc.call_function(name, [ends, pa.scalar(value, pa.binary())])


def _begin(ends: Any, *cut: int) -> Any:
    return pc.call_function("binary_slice", [ends], pc.SliceOptions(0, cut[0])) if cut else ends


def _starts(ends: Any, value: bytes) -> Any:
    return _call("equal", _begin(ends, len(value)), value)


def _text_in(column: Ranges, values: list[bytes]) -> Mask:
    if len(values) > _MOST_TEXTS:
        return _text_rule(column, values[-1], "<=") & _reaches(column, values[0])
    found = np.zeros(len(column.values), bool)
    for value in values:
        found |= _text_rule(column, value, "=")
    return found


def _dtype(values: list[Any]) -> Any:
    """Of an array that holds all of them exactly: unscaled decimals may be longer than a word."""
    if isinstance(values[0], float):
        return np.float64
    return np.int64 if values[0] >= -(2**63) and values[-1] < 2**63 else object


def _number_in(column: Ranges, values: list[Any]) -> Mask:
    size = len(column.values)
    if not values:
        return np.zeros(size, bool)
    # The least value that isn't below the lower bound has to lie within the upper one.
    known = np.array(values, _dtype(values))
    if column.low is None:
        first = np.zeros(size, np.int64)
    else:
        first = np.where(column.low.known, np.searchsorted(known, column.low.values, "left"), 0)
    inside = known[np.minimum(first, len(known) - 1)]
    return (first < len(known)) & _where(column.high, lambda ends: inside <= ends, size)
