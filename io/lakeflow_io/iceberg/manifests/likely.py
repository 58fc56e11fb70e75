"""Where in each file a filter's rows lie if the file is sorted: a guess, asked for before the footer is there.

Between a column's bounds values are taken to be spread evenly, in the order of the rows. Of a file that isn't sorted
by the column, every row group reaches from bound to bound, and whichever was guessed is read anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyiceberg.expressions.visitors import BoundBooleanExpressionVisitor, visit
from pyiceberg.types import BinaryType, FixedType, StringType

from lakeflow_io.iceberg.comparable import comparable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.types import IcebergType

    from lakeflow_io.iceberg.manifests.ranges import Ends, Ranges

    Part = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = ["likely_part"]


def likely_part(bound: BooleanExpression, ranges: Callable[[int, IcebergType], Ranges]) -> Part | None:
    """Which part of each file its rows are likely to be in.

    Args:
        bound: A bound predicate.
        ranges: What is known of a column in each file, by its field id and type.

    Returns:
        Where it begins and ends, as shares of the file from 0 to 1; None where the filter has no range of numbers.
    """
    by_column: dict[int, Part] = visit(bound, _Visitor(ranges))
    if not by_column:
        return None
    begins, ends = (np.stack([part[end] for part in by_column.values()]) for end in (0, 1))
    # A file is sorted by one column first: by the one that tells most, as likely as not.
    least = np.argmin(ends - begins, axis=0)[None]
    return np.take_along_axis(begins, least, 0)[0], np.take_along_axis(ends, least, 0)[0]


class _Visitor(BoundBooleanExpressionVisitor[dict[int, "Part"]]):
    """The part of each file by column; a column that isn't there may have them anywhere."""

    def __init__(self, ranges: Callable[[int, IcebergType], Ranges]) -> None:
        self._ranges = ranges

    def _between(self, term: Any, low: Any, high: Any) -> dict[int, Part]:
        field = term.ref().field
        kind = field.field_type
        known = [None if value is None else comparable(value, kind) for value in (low, high)]
        if isinstance(kind, StringType | BinaryType | FixedType) or known == [None, None]:
            return {}
        column = self._ranges(field.field_id, kind)
        if column.low is None or column.high is None:
            return {}
        begin, end = (_shares(column.low, column.high, value, default) for default, value in enumerate(known))
        return {field.field_id: (begin, np.maximum(begin, end))}

    def visit_equal(self, term: Any, literal: Any) -> dict[int, Part]:
        return self._between(term, literal.value, literal.value)

    def visit_less_than(self, term: Any, literal: Any) -> dict[int, Part]:
        return self._between(term, None, literal.value)

    def visit_less_than_or_equal(self, term: Any, literal: Any) -> dict[int, Part]:
        return self._between(term, None, literal.value)

    def visit_greater_than(self, term: Any, literal: Any) -> dict[int, Part]:
        return self._between(term, literal.value, None)

    def visit_greater_than_or_equal(self, term: Any, literal: Any) -> dict[int, Part]:
        return self._between(term, literal.value, None)

    def visit_in(self, term: Any, literals: set[Any]) -> dict[int, Part]:
        return self._between(term, min(literals), max(literals)) if literals else {}

    def visit_and(self, left_result: dict[int, Part], right_result: dict[int, Part]) -> dict[int, Part]:
        both = {
            each: (
                np.maximum(left_result[each][0], right_result[each][0]),
                np.minimum(left_result[each][1], right_result[each][1]),
            )
            for each in left_result.keys() & right_result.keys()
        }
        return left_result | right_result | both

    def visit_or(self, left_result: dict[int, Part], right_result: dict[int, Part]) -> dict[int, Part]:
        return {
            each: (
                np.minimum(left_result[each][0], right_result[each][0]),
                np.maximum(left_result[each][1], right_result[each][1]),
            )
            for each in left_result.keys() & right_result.keys()
        }

    def visit_not_equal(self, term: Any, literal: Any) -> dict[int, Part]:
        del term, literal
        return {}

    def visit_not_in(self, term: Any, literals: set[Any]) -> dict[int, Part]:
        del term, literals
        return {}

    def visit_starts_with(self, term: Any, literal: Any) -> dict[int, Part]:
        del term, literal
        return {}

    def visit_not_starts_with(self, term: Any, literal: Any) -> dict[int, Part]:
        del term, literal
        return {}

    def visit_is_nan(self, term: Any) -> dict[int, Part]:
        del term
        return {}

    def visit_not_nan(self, term: Any) -> dict[int, Part]:
        del term
        return {}

    def visit_is_null(self, term: Any) -> dict[int, Part]:
        del term
        return {}

    def visit_not_null(self, term: Any) -> dict[int, Part]:
        del term
        return {}

    def visit_not(self, child_result: dict[int, Part]) -> dict[int, Part]:
        del child_result
        return {}

    def visit_true(self) -> dict[int, Part]:
        return {}

    def visit_false(self) -> dict[int, Part]:
        return {}


def _shares(low: Ends, high: Ends, value: Any, default: float) -> NDArray[np.float64]:
    """How far a value lies between two bounds, from 0 to 1; `default` where one of them is unknown."""
    if value is None:
        return np.full(len(low.known), float(default))
    begin, end = (np.where(ends.known, ends.values, 0).astype(np.float64) for ends in (low, high))
    wide = low.known & high.known & (end > begin)
    with np.errstate(over="ignore", invalid="ignore"):
        share = (float(value) - begin) / np.where(wide, end - begin, 1.0)
    return np.where(wide & np.isfinite(share), np.clip(share, 0.0, 1.0), float(default))
