"""Whatever bounds hold for the values of a column, judging by them agrees with the exact filter."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import combinations_with_replacement, product
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg import expressions as ex
from pyiceberg.expressions.visitors import bind
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
)  # fmt: skip

from lakeflow_io.iceberg.comparable import bounds_decoder, comparable
from lakeflow_io.iceberg.internals import arrow_filter
from lakeflow_io.iceberg.verdict import Match, judge_of
from lakeflow_io.parquet.statistics import UNKNOWN, Bounds, Stored

TEXT = Schema(NestedField(1, "s", StringType(), required=False))
FLOAT = Schema(NestedField(1, "x", DoubleType(), required=False))
WORDS = st.text("ab\U0010ffff", max_size=4)
NUMBERS = (None, float("nan"), -0.0, 0.0, 1.0)
COMPARISONS = [ex.EqualTo, ex.NotEqualTo, ex.LessThan, ex.LessThanOrEqual, ex.GreaterThan, ex.GreaterThanOrEqual]


def agrees(where: Any, schema: Schema, values: list[Any], kind: pa.DataType, bounds: Bounds) -> Match:
    """Judge by the bounds, and hold it against the filter on the values."""
    bound = bind(schema, where, case_sensitive=True)
    data = pa.table({schema.fields[0].name: pa.array(values, kind)})
    passed = data.filter(arrow_filter(bound, schema)).num_rows

    match = judge_of(bound)[0]({1: bounds})

    assert match is not Match.NONE or passed == 0
    assert match is not Match.ALL or passed == len(values)
    return match


@settings(max_examples=500)
@given(
    values=st.lists(st.none() | WORDS, min_size=1, max_size=4),
    value=WORDS,
    kind=st.sampled_from([*COMPARISONS, ex.In, ex.NotIn, ex.StartsWith, ex.NotStartsWith]),
    cut=st.integers(0, 20),
)
def test_bounds_of_text_may_be_cut_short(values: list[Any], value: str, kind: Any, cut: int) -> None:
    """An upper bound that is only the beginning of the longest value loses no row, even cut inside a character."""
    there = [each.encode() for each in values if each is not None]
    low, high = (min(there)[:cut], max(there)[:cut]) if there else (None, None)
    where = kind("s", [value, value + "a"]) if kind in {ex.In, ex.NotIn} else kind("s", value)

    agrees(where, TEXT, values, pa.string(), Bounds(low, high, len(there) < len(values), bool(there)))


@pytest.mark.parametrize("kind", [*COMPARISONS, ex.In, ex.NotIn, ex.IsNaN, ex.NotNaN])
def test_bounds_of_floats_say_nothing_of_nan(kind: Any) -> None:
    """NaN hides behind any bounds, and zeros of either sign are one value: all columns of up to three rows."""
    columns = [list(rows) for size in (1, 2, 3) for rows in combinations_with_replacement(NUMBERS, size)]
    for values, slack, value in product(columns, (0, 1), (0.0, 0.5, 1.0)):
        there = [each for each in values if each is not None and not math.isnan(each)]
        low, high = (min(there) - slack, max(there) + slack) if there else (None, None)
        bounds = Bounds(low, high, None in values, values != [None] * len(values))
        arguments = {ex.In: ([value, 5.0],), ex.NotIn: ([value, 5.0],), ex.IsNaN: (), ex.NotNaN: ()}.get(kind, (value,))

        agrees(kind("x", *arguments), FLOAT, values, pa.float64(), bounds)


@pytest.mark.parametrize("kind", [IntegerType(), LongType(), DateType(), TimestampType()])
def test_whole_numbers_are_judged_exactly(kind: Any) -> None:
    """Between two bounds, each comparison is certain as soon as it can be."""
    schema = Schema(NestedField(1, "i", kind, required=False))

    def judged(where: Any, low: int, high: int) -> Match:
        return judge_of(bind(schema, where, case_sensitive=True))[0]({1: Bounds(low, high, nulls=False, values=True)})

    assert judged(ex.NotIn("i", [4, 5]) if kind != TimestampType() else ex.NotEqualTo("i", 4), 4, 4) is Match.NONE
    assert judged(ex.EqualTo("i", 4), 4, 4) is Match.ALL
    assert judged(ex.In("i", [3, 4]), 4, 4) is Match.ALL
    assert judged(ex.In("i", [1, 9]), 2, 8) is Match.NONE
    assert judged(ex.NotIn("i", [1, 9]), 2, 8) is Match.ALL
    assert judged(ex.And(ex.GreaterThan("i", 1), ex.LessThan("i", 9)), 2, 8) is Match.ALL
    assert judged(ex.Or(ex.LessThan("i", 2), ex.GreaterThan("i", 8)), 2, 8) is Match.NONE
    assert judged(ex.Not(ex.GreaterThan("i", 1)), 2, 8) is Match.NONE


def test_without_statistics_nothing_is_certain() -> None:
    """Any predicate on an unknown column is SOME, in an `or` with a certain one it is ALL."""
    schema = Schema(NestedField(1, "i", LongType(), required=False))
    for where in (ex.EqualTo("i", 1), ex.IsNull("i"), ex.NotNull("i"), ex.In("i", [1, 2]), ex.NotIn("i", [1, 2])):
        judge, columns = judge_of(bind(schema, where, case_sensitive=True))

        assert list(columns) == [1]
        assert judge({1: UNKNOWN}) is Match.SOME
    assert judge_of(ex.AlwaysTrue())[0]({}) is Match.ALL
    assert judge_of(ex.AlwaysFalse())[0]({}) is Match.NONE


def test_values_that_have_no_order_are_not_compared() -> None:
    """NaN, text where a number is meant, and a decimal with more digits behind the point."""
    assert comparable(float("nan"), DoubleType()) is None
    assert comparable("1", LongType()) is None
    assert comparable(Decimal("1.2345"), DecimalType(9, 3)) is None
    assert comparable(Decimal("NaN"), DecimalType(9, 3)) is None
    assert comparable(Decimal("-" + "9" * 35 + ".999"), DecimalType(38, 3)) == -(10**38) + 1
    assert comparable(0.1, FloatType()) == pa.scalar(0.1, pa.float32()).as_py() != 0.1


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (IntegerType(), Stored("int64", 0, None)), (FloatType(), Stored("double", 0, None)),
        (StringType(), Stored("binary", 0, None)), (BinaryType(), Stored("string", 0, None)),
        (DecimalType(9, 2), Stored("decimal", 3, None)),
        (TimestampType(), Stored("timestamptz", 1000, None)), (TimestampType(), Stored("timestamp", 1, None)),
        (TimestampType(), Stored("date", 0, None)),
    ],
)  # fmt: skip
def test_columns_that_are_no_promotion_have_no_bounds(kind: Any, stored: Stored) -> None:
    """What reading would have to convert otherwise is left to reading."""
    assert bounds_decoder(kind, stored) == (False, None)


def test_milliseconds_are_compared_as_microseconds() -> None:
    """A coarser unit in the file is scaled to the table's."""
    fits, decode = bounds_decoder(TimestampType(), Stored("timestamp", 1_000_000, None))

    assert fits
    assert decode is not None
    assert decode(-3) == -3000
