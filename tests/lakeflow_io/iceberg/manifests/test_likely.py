"""Where a filter's rows are guessed to lie in a sorted file is where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    Not,
    NotEqualTo,
    Or,
)
from pyiceberg.expressions.visitors import bind, expression_evaluator
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import LongType, NestedField

from lakeflow_io.iceberg.manifests.likely import likely_part
from lakeflow_io.iceberg.manifests.ranges import Ends, Ranges

if TYPE_CHECKING:
    from pyiceberg.types import IcebergType

SCHEMA = Schema(NestedField(1, "x", LongType(), required=True))
NUMBERS = st.integers(-20, 130)
ONE_OF: Any = In
COMPARISONS: list[Any] = [EqualTo, NotEqualTo, LessThan, LessThanOrEqual, GreaterThan, GreaterThanOrEqual]


def predicates() -> st.SearchStrategy[BooleanExpression]:
    """Of one column."""
    simple = st.builds(lambda kind, value: kind("x", value), st.sampled_from(COMPARISONS), NUMBERS)
    several = st.sets(NUMBERS, min_size=2, max_size=4).map(lambda values: ONE_OF("x", values))
    return st.recursive(
        simple | several,
        lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner) | st.builds(Not, inner),
        max_leaves=5,
    )


@given(predicates(), st.integers(0, 60), st.integers(1, 50))
def test_a_sorted_files_rows_are_where_they_are_guessed(predicate: BooleanExpression, low: int, rows: int) -> None:
    """Of a column of consecutive numbers, every row that passes lies in the part; a filter without a range has none."""
    values = np.arange(low, low + rows)

    def ranges(field_id: int, kind: IcebergType) -> Ranges:
        del field_id, kind
        known, unknown = np.ones(1, bool), np.zeros(1, bool)
        return Ranges(Ends(values[:1], known), Ends(values[-1:], known), unknown, known, known, unknown)

    part = likely_part(bind(SCHEMA, predicate, case_sensitive=True), ranges)

    passes: Any = expression_evaluator(SCHEMA, predicate, case_sensitive=True)
    places = [place for place, value in enumerate(values.tolist()) if passes(Record(value))]
    if part is None or rows == 1:
        return
    begin, end = float(part[0][0]) * (rows - 1), float(part[1][0]) * (rows - 1)
    assert all(begin - 1e-6 <= place <= end + 1e-6 for place in places)
