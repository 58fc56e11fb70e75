"""The bound for how long a row's value is, is never too low, and not far too high for plain columns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from exact_columns import EXACT_COLUMNS
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.cache.pushed.codec import RowCodec
from lakeflow.cache.pushed.sizes import longest_bytes

INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.none() | st.text()
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.none() | st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.none() | st.integers(0, 2**64 - 1),
    pa.float64(): st.none() | st.floats(),
    pa.float32(): st.none() | st.floats(width=32),
    pa.bool_(): st.none() | st.booleans(),
    pa.string(): TEXT,
    pa.large_binary(): st.none() | st.binary(),
    pa.decimal256(76, 40): st.none() | st.decimals(-(10**35), 10**35, places=40),
    pa.timestamp("ns"): st.none() | st.integers(-(2**63), 2**63 - 1),
    pa.list_(pa.string()): st.none() | st.lists(TEXT),
    pa.large_list(pa.list_(pa.float64())): st.none() | st.lists(st.none() | st.lists(st.none() | st.floats())),
    pa.list_(pa.int64(), 2): st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    pa.month_day_nano_interval(): st.none() | st.tuples(INT32, INT32, st.integers(-(2**63), 2**63 - 1)),
    pa.map_(pa.string(), pa.binary()): st.none() | st.lists(st.tuples(st.text(), st.none() | st.binary())),
    pa.struct([("ä", pa.string()), ('"', pa.list_(pa.bool_()))]): st.none()
    | st.fixed_dictionaries({"ä": TEXT, '"': st.none() | st.lists(st.booleans())}),
}


def lengths(column: pa.Array) -> list[int]:
    """How long each value is, as it is written, with its comma or its brackets' half."""
    codec = RowCodec(pa.schema([("id", pa.int64()), ("x", column.type)]), "id")
    rows = pa.table({"id": range(len(column)), "x": column})
    return [len(value.encode()) - 1 for value in codec.encode(rows)]


@pytest.mark.parametrize("kind", VALUES, ids=str)
@settings(max_examples=40)
@given(data=st.data())
def test_no_value_is_longer_than_its_bound(kind: pa.DataType, data: st.DataObject) -> None:
    """Of any type, nulls and slices included."""
    whole = pa.array(data.draw(st.lists(VALUES[kind], max_size=6)), kind)
    column = whole.slice(data.draw(st.integers(0, len(whole))))

    assert all(size <= most for size, most in zip(lengths(column), longest_bytes(column).tolist(), strict=True))


@pytest.mark.parametrize("column", EXACT_COLUMNS, ids=lambda column: str(column.type))
def test_every_type_has_a_bound(column: pa.Array) -> None:
    """Which is that of its rows."""
    assert len(longest_bytes(column)) == len(column)
    assert all(size <= most for size, most in zip(lengths(column), longest_bytes(column).tolist(), strict=True))


@pytest.mark.parametrize(("text", "least"), [("x" * 1000, 1000), ("\0" * 1000, 6000), ("é" * 500, 1000)])
def test_text_has_a_bound_of_six_times_its_length(text: str, least: int) -> None:
    """What is escaped takes that; for all else few rows have to be written to know."""
    (most,) = longest_bytes(pa.array([text])).tolist()

    assert least <= most <= 6 * 1000 + 8
