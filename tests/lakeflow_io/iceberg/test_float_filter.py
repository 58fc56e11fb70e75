"""Comparisons of floats are IEEE 754's, whatever infinities, zeros and numbers beyond single precision they name."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg import expressions as ice

if TYPE_CHECKING:
    import lakeflow as lf

VALUES = [0.0, -0.0, 1.0, -1.5, float("inf"), float("-inf"), float("nan"), 3.4028234663852886e38, -3.0e38, 1e-45, None]
LITERALS = [0.0, -0.0, 1.0, float("inf"), float("-inf"), 1e300, -1e300, 3.4028234663852886e38, 2.5]
COMPARISONS = {
    ice.EqualTo: operator.eq,
    ice.NotEqualTo: operator.ne,
    ice.LessThan: operator.lt,
    ice.LessThanOrEqual: operator.le,
    ice.GreaterThan: operator.gt,
    ice.GreaterThanOrEqual: operator.ge,
}


@pytest.fixture
def floats(embedded: lf.Lake) -> lf.Table:
    """A row a value, in two files."""
    schema = pa.schema([("row", pa.int32()), ("single", pa.float32()), ("double", pa.float64())])
    table = embedded.create_table("kg.floats", schema)
    for rows in (range(5), range(5, len(VALUES))):
        values = [VALUES[row] for row in rows]
        table.append(pa.table({"row": list(rows), "single": values, "double": values}, schema=schema))
    return table


@given(
    name=st.sampled_from(["single", "double"]),
    kind=st.sampled_from([*COMPARISONS, ice.In, ice.NotIn]),
    literals=st.lists(st.sampled_from(LITERALS), min_size=1, max_size=4, unique_by=repr),
    negated=st.booleans(),
)
def test_filters_of_floats(floats: lf.Table, name: str, kind: Any, literals: list[float], negated: bool) -> None:  # noqa: FBT001
    """Each row is in the answer or not as Python compares its value; null never is."""
    listed = kind in (ice.In, ice.NotIn)
    predicate = kind(name, literals) if listed else kind(name, literals[0])
    negated = negated and kind in (ice.EqualTo, ice.NotEqualTo, ice.In, ice.NotIn)  # of the others NaN is neither

    def passes(value: float | None) -> bool:
        if value is None:
            return False
        own = float(np.float32(value)) if name == "single" else value
        if listed:
            return any(own == each for each in literals) == ((kind is ice.In) != negated)
        return bool(COMPARISONS[kind](own, literals[0])) != negated

    found = floats.scan(["row"], where=ice.Not(predicate) if negated else predicate).read().to_arrow()["row"]

    assert sorted(found.to_pylist()) == [row for row, value in enumerate(VALUES) if passes(value)]
