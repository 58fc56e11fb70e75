"""Types of plain files have a place among Iceberg's, and an order."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.folder.types import canonical, promotes, wider
from lakeflow_io.iceberg.internals import arrow_schema, fresh_schema

PRIMITIVES = st.sampled_from(
    [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.null(), pa.date32(), pa.date64()),
        *(pa.decimal32(5, 2), pa.decimal64(12, 2), pa.decimal128(20, 2), pa.decimal128(38, 0), pa.decimal256(30, 2)),
        *(pa.time32("s"), pa.time64("us"), pa.time64("ns"), pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns")),
        *(pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("ns", "UTC"), pa.uuid(), pa.binary(3), pa.binary_view()),
        *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()),
        *(pa.dictionary(pa.int8(), pa.string()), pa.run_end_encoded(pa.int32(), pa.int16())),
    ]
)
TYPES = st.recursive(
    PRIMITIVES,
    lambda inner: st.one_of(
        inner.map(pa.list_), inner.map(pa.large_list), inner.map(lambda kind: pa.list_(kind, 2)),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda kinds: pa.struct(list(kinds.items()))),
    ),
    max_leaves=4,
)  # fmt: skip


@given(TYPES)
def test_iceberg_has_every_canonical_type(kind: pa.DataType) -> None:
    """What `canonical` returns goes to Iceberg and back unchanged, and is canonical itself."""
    made = canonical(kind, "column 'x'")

    back = arrow_schema(fresh_schema(pa.schema([("x", made)]), 3)).field("x").type
    assert made == canonical(made, "") == canonical(back, "")


def _widest(kinds: list[pa.DataType]) -> pa.DataType | None:
    found: pa.DataType | None = kinds[0]
    for kind in kinds[1:]:
        found = None if found is None else wider(found, kind)
    return found


@given(TYPES, TYPES, TYPES)
def test_the_widest_type_holds_them_all(one: pa.DataType, two: pa.DataType, three: pa.DataType) -> None:
    """All promote to it, whatever their order; where one order has none, no order has any."""
    kinds = [canonical(kind, "") for kind in (one, two, three)]

    found = _widest(kinds)

    assert found is None or all(promotes(kind, found) for kind in kinds)
    backwards = _widest(kinds[::-1])
    assert (found is None) == (backwards is None)
    assert found is None or (promotes(found, backwards) and promotes(backwards, found))


@given(TYPES)
def test_a_type_promotes_to_itself(kind: pa.DataType) -> None:
    """And so is its own widest."""
    made = canonical(kind, "")

    assert promotes(made, made)
    assert made == wider(made, made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int32(), pa.float64()),
        (pa.int64(), pa.float64()),
        (pa.string(), pa.binary()),
        (pa.string(), pa.int32()),
        (pa.date32(), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.decimal128(10, 2), pa.decimal128(10, 3)),
        (pa.list_(pa.int32()), pa.int32()),
        (pa.struct([("a", pa.int32())]), pa.struct([("a", pa.string())])),
    ],
    ids=str,
)
def test_what_would_change_values_has_no_common_type(one: pa.DataType, other: pa.DataType) -> None:
    """Iceberg's rules, not SQL's: no guess, no rounding."""
    assert wider(one, other) is None
    assert not promotes(one, other)
    assert not promotes(other, one)


@pytest.mark.parametrize(
    "kind",
    [pa.duration("s"), pa.month_day_nano_interval(), pa.decimal256(50, 2), pa.decimal128(5, -2),
     pa.struct([("a", pa.list_(pa.duration("s")))])],
    ids=str,
)  # fmt: skip
def test_what_iceberg_lacks_is_refused_by_name(kind: pa.DataType) -> None:
    """The message names the column and its type."""
    with pytest.raises(UnsupportedError, match="column 'x'"):
        canonical(kind, "column 'x' of f.parquet")
