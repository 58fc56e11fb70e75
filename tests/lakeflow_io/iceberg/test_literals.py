"""Comparisons with numbers are what they say: infinities, zeros, and numbers that a column can not hold."""

from __future__ import annotations

import operator
from decimal import Decimal
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


LIMITS = {"int": 2**31, "long": 2**63, "short": 100}  # decimal(4, 2), for which 100 is the first that is too large


@pytest.fixture
def bounded(embedded: lf.Lake) -> lf.Table:
    """The ends of each type, numbers between them and null, in two files."""
    schema = pa.schema([("row", pa.int32()), ("int", pa.int32()), ("long", pa.int64()), ("short", pa.decimal128(4, 2))])
    table = embedded.create_table("kg.bounded", schema)
    rows = [
        (0, -(2**31), -(2**63), Decimal("-99.99")), (1, 7, 7, Decimal("7.00")),
        (2, 2**31 - 1, 2**63 - 1, Decimal("99.99")), (3, None, None, None),
    ]  # fmt: skip
    for part in (rows[:2], rows[2:]):
        table.append(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in part], schema))
    return table


@given(
    name=st.sampled_from(sorted(LIMITS)),
    kind=st.sampled_from([*COMPARISONS, ice.In, ice.NotIn]),
    steps=st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=3),
    negated=st.booleans(),
)
def test_filters_beyond_a_type(bounded: lf.Table, name: str, kind: Any, steps: list[int], negated: bool) -> None:  # noqa: FBT001
    """A number that no row can have is larger or smaller than all, equal to none, and deletes none."""
    # Below, within, above.
    literals: list[Any] = [-LIMITS[name] - 1 if step < 0 else 7 if step == 0 else LIMITS[name] for step in steps]
    if name == "short":
        literals = [Decimal(each).quantize(Decimal("0.01")) for each in literals]
    listed = kind in (ice.In, ice.NotIn)
    predicate = kind(name, literals) if listed else kind(name, literals[0])

    def passes(value: Any) -> bool:
        if value is None:
            return False
        found = (value in literals) == (kind is ice.In) if listed else COMPARISONS[kind](value, literals[0])
        return bool(found) != negated

    values = bounded.scan(["row", name]).read().to_arrow().to_pylist()
    found = bounded.scan(["row"], where=ice.Not(predicate) if negated else predicate).read().to_arrow()["row"]

    assert sorted(found.to_pylist()) == sorted(row["row"] for row in values if passes(row[name]))


def test_a_number_beyond_a_type_deletes_nothing(bounded: lf.Table) -> None:
    """The largest row stays, and the snapshot as well."""
    before = bounded.snapshot

    assert bounded.delete("int in (4294967296, 8)") == before
    assert len(bounded.scan().read()) == 4
    assert len(bounded.scan(where="short > 100").read()) == 0


SCALED = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda value: abs(value.adjusted()) < 40
)
NEAR = st.builds(
    lambda unscaled, exponent: Decimal(unscaled).scaleb(exponent), st.integers(-11000, 11000), st.integers(-4, 2)
)
FAR = st.sampled_from([float("inf"), float("-inf"), Decimal("1E+999999"), Decimal("-1E-999999")])


@given(
    kind=st.sampled_from([*COMPARISONS, ice.In, ice.NotIn]),
    literals=st.lists(NEAR | SCALED | FAR, min_size=1, max_size=3),
    negated=st.booleans(),
)
def test_decimals_of_any_scale(bounded: lf.Table, kind: Any, literals: list[Any], negated: bool) -> None:  # noqa: FBT001
    """Digits that a column lacks are compared, not refused and not rounded away."""
    listed = kind in (ice.In, ice.NotIn)
    predicate = kind("short", literals) if listed else kind("short", literals[0])

    def passes(value: Any) -> bool:
        if value is None:
            return False
        found = (value in literals) == (kind is ice.In) if listed else COMPARISONS[kind](value, literals[0])
        return bool(found) != negated

    values = bounded.scan(["row", "short"]).read().to_arrow().to_pylist()
    found = bounded.scan(["row"], where=ice.Not(predicate) if negated else predicate).read().to_arrow()["row"]

    assert sorted(found.to_pylist()) == sorted(row["row"] for row in values if passes(row["short"]))


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("short < 7.005", [0, 1]), ("short <= 6.9999", [0]), ("short > 6.9999", [1, 2]), ("short >= 7.005", [2]),
        ("short = 7", [1]), ("short = 7.000", [1]), ("short = 7.005", []), ("short != 7.005", [0, 1, 2]),
        ("short in (7.0, 7.005, 99.99)", [1, 2]), ("short not in (7.005)", [0, 1, 2]), ("short = '7.0'", [1]),
        ("short between 6.999 and 7.001", [1]),
    ],
)  # fmt: skip
def test_decimals_in_text(bounded: lf.Table, where: str, rows: list[int]) -> None:
    """As one writes them; files that can have none are pruned by the numbers between which a literal lies."""
    assert sorted(bounded.scan(["row"], where=where).read().to_arrow()["row"].to_pylist()) == rows
    assert len(bounded.scan(where=where).pieces) <= max(1, len(rows))


def test_a_float_is_the_decimal_that_it_is_written_as(bounded: lf.Table) -> None:
    """Not rounded to the column's scale, nor the binary number behind it."""
    assert bounded.scan(["row"], where=ice.EqualTo("short", 7.005)).read().to_pylist() == []
    assert bounded.scan(["row"], where=ice.EqualTo("short", 99.99)).read().to_pylist() == [{"row": 2}]
