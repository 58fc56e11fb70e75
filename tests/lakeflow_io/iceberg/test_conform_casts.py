"""Which types become which: values are kept as what they are, or the column is refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import SchemaError
from lakeflow_io.iceberg.conform import conform

NAN, INFINITY = float("nan"), float("inf")
NAIVE, ZONED, BERLIN = pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Berlin")
NOON = dt.datetime.fromisoformat("2024-02-29T12:00")
POINT = pa.struct([("x", pa.int64()), ("y", pa.int64())])


def conformed(column: Any, wanted: pa.DataType) -> pa.ChunkedArray:
    """One column as a table's type."""
    schema = pa.schema([("c", wanted)])
    return conform(pa.table({"c": column}), schema, "kg.t")["c"]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([0.1]), pa.float32()),
        (pa.array([1e300]), pa.float32()),
        (pa.array([1.0, None, 2.0**-200]), pa.float32()),
        (pa.array([5, 0]), pa.bool_()),
        (pa.array([True]), pa.int64()),
        (pa.array([True]), pa.string()),
        (pa.array(["true"]), pa.bool_()),
        (pa.array([NOON]), pa.date32()),
        (pa.array([NOON.replace(hour=0)]), pa.date32()),
        (pa.array([NOON.date()]), NAIVE),
        (pa.array([NOON], NAIVE), ZONED),
        (pa.array([0], ZONED), NAIVE),
        (pa.array([0], BERLIN), NAIVE),
        (pa.array([0]), NAIVE),
        (pa.array([0], NAIVE), pa.int64()),
        (pa.array(["1"]), pa.int64()),
        (pa.array(["1.5"]), pa.float64()),
        (pa.array([1]), pa.string()),
        (pa.array([1.5]), pa.string()),
        (pa.array(["2024-02-29"]), pa.date32()),
        (pa.array(["2024-02-29T12:00:00"]), NAIVE),
        (pa.array([NOON.date()]), pa.string()),
        (pa.array(["a"]), pa.binary()),
        (pa.array([b"a"]), pa.string()),
        (pa.array([1.0]), pa.int64()),
        (pa.array([1]), pa.float64()),
        (pa.array([2**40]), pa.int32()),
        (pa.array([2**63], pa.uint64()), pa.int64()),
        (pa.array([Decimal("1.255")]), pa.decimal128(10, 2)),
        (pa.array([1001], pa.timestamp("ns")), NAIVE),
        (pa.array([{"x": 1, "y": 2, "extra": 9}]), POINT),
        (pa.array([[{"x": 1, "y": 2, "extra": 9}]]), pa.list_(POINT)),
        (pa.array([[1.5]]), pa.list_(pa.int64())),
        (pa.array([["1"]]), pa.list_(pa.int64())),
        (pa.array([[0.1]]), pa.list_(pa.float32())),
        (pa.array([{"x": 0.1}]), pa.struct([("x", pa.float32())])),
        (pa.array([{"x": "1"}]), pa.struct([("x", pa.int64())])),
        (pa.array([[("k", 0.1)]], pa.map_(pa.string(), pa.float64())), pa.map_(pa.string(), pa.float32())),
        (pa.array([1]), pa.list_(pa.int64())),
        (pa.array([[1]]), pa.int64()),
        (pa.array(["1", None]).dictionary_encode(), pa.int64()),
        (pa.array([0.1, 0.5]).dictionary_encode(), pa.float32()),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)  # fmt: skip
def test_another_kind_or_a_loss_is_refused(column: pa.Array, wanted: pa.DataType) -> None:
    """The error names the column and both types."""
    with pytest.raises(SchemaError, match="column 'c'") as caught:
        conformed(column, wanted)

    assert str(wanted) in caught.value.message


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([1, None], pa.int8()), pa.int32()),
        (pa.array([1, -1], pa.int32()), pa.int64()),
        (pa.array([1, None], pa.uint32()), pa.int64()),
        (pa.array([7, None], pa.int64()), pa.int32()),
        (pa.array([1.5, NAN, None], pa.float32()), pa.float64()),
        (pa.array([1.5, NAN, INFINITY, -INFINITY, -0.0, None], pa.float64()), pa.float32()),
        (pa.chunked_array([[0.5], [None], []], pa.float64()), pa.float32()),
        (pa.chunked_array([], pa.float64()), pa.float32()),
        (pa.array([None, None], pa.float64()), pa.float32()),
        (pa.array(["a", None], pa.large_string()), pa.string()),
        (pa.array(["a", None], pa.string_view()), pa.string()),
        (pa.array([b"a", None], pa.large_binary()), pa.binary()),
        (pa.array([b"abcd", None]), pa.binary(4)),
        (pa.array(["a", None, "a"]).dictionary_encode(), pa.string()),
        (pa.array([1, None], pa.int32()).dictionary_encode(), pa.int64()),
        (pa.array([Decimal("1.50"), None]), pa.decimal128(20, 2)),
        (pa.array([NOON, None], pa.timestamp("ms")), NAIVE),
        (pa.array([NOON, None], pa.timestamp("s")), NAIVE),
        (pa.array([1, None], BERLIN), ZONED),
        (pa.array([[1], None, []], pa.list_(pa.int32())), pa.list_(pa.int64())),
        (pa.array([[1], None], pa.large_list(pa.int32())), pa.list_(pa.int64())),
        (pa.array([{"x": 1, "y": 2}, None], pa.struct([("x", pa.int32()), ("y", pa.int8())])), POINT),
        (pa.array([[{"x": 1, "y": None}], None]), pa.list_(POINT)),
        (pa.array([["a"]], pa.list_(pa.large_string())), pa.list_(pa.string())),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())), pa.map_(pa.string(), pa.int64())),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)  # fmt: skip
def test_the_same_kind_without_loss_fits(column: Any, wanted: pa.DataType) -> None:
    """Every value and every null comes through, in the table's type."""
    found = conformed(column, wanted)

    assert wanted == found.type
    assert repr(column.to_pylist()) == repr(found.to_pylist()) or same_instants(column, found)


def same_instants(before: Any, after: Any) -> bool:
    """Moments that are equal though their zones are written differently."""
    return before.to_pylist() == after.to_pylist()


@pytest.mark.parametrize("wanted", [pa.int64(), pa.string(), ZONED, POINT, pa.list_(POINT), pa.binary(4), pa.bool_(),
                                    pa.decimal128(5, 2), pa.map_(pa.string(), pa.int64())], ids=str)  # fmt: skip
def test_nulls_of_no_type_fit_anything(wanted: pa.DataType) -> None:
    """A column of None has no type of its own."""
    found = conformed(pa.nulls(3), wanted)

    assert (wanted, 3) == (found.type, found.null_count)


def test_fields_of_a_struct_are_matched_by_name() -> None:
    """In another order, or with one missing, each value stays with its name."""
    turned = conformed(pa.array([{"y": 2, "x": 1}], pa.struct([("y", pa.int64()), ("x", pa.int64())])), POINT)
    missing = conformed(pa.array([{"y": 2}]), POINT)

    assert turned.to_pylist() == [{"x": 1, "y": 2}]
    assert missing.to_pylist() == [{"x": None, "y": 2}]


@given(st.lists(st.none() | st.floats(width=32), max_size=6))
def test_what_float32_holds_always_fits(values: list[float | None]) -> None:
    """Any float32 that was widened is narrowed again."""
    found = conformed(pa.array(values, pa.float64()), pa.float32())

    assert repr(values) == repr(found.to_pylist())


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_float32_cannot_hold_never_fits(value: float) -> None:
    """A double that float32 would round is refused, one that it holds is kept."""
    try:
        found = conformed(pa.array([None, value]), pa.float32()).to_pylist()
    except SchemaError:
        found = None

    import numpy as np

    with np.errstate(over="ignore"):
        exact = float(np.float32(value)) == value
    assert ([None, value] if exact else None) == found
