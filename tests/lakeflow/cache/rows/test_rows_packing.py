"""Rows that were packed into buckets are read as they were, one by one and many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.rows.packing import bucket_of, buckets_of, first_hash, packed
from lakeflow.cache.rows.unpacking import ManyRows, OneRow, row_in

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(max_size=9),
    pa.large_binary(): st.binary(max_size=9),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.list_(pa.int64()): st.lists(st.none() | st.integers(-5, 5), max_size=3),
    pa.large_list(pa.uint8()): st.lists(st.integers(0, 255), max_size=99),
    pa.list_(pa.float32(), 2): st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=2),
    pa.list_(pa.string()): st.lists(st.text(max_size=3), max_size=2),
    pa.timestamp("us"): st.integers(-(2**50), 2**50),
    pa.null(): st.none(),
}


@st.composite
def tables(draw: DrawFn) -> pa.Table:
    """A key and up to twenty columns, with nulls."""
    keys = draw(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1, max_size=60))
    columns = {"id": pa.array(keys, pa.int64())}
    for place, kind in enumerate(draw(st.lists(st.sampled_from(list(VALUES)), max_size=20))):
        some = st.none() | VALUES[kind]
        columns[f"c{place}"] = pa.array(draw(st.lists(some, min_size=len(keys), max_size=len(keys))), kind)
    return pa.table(columns)


@given(tables(), st.integers(1, 50), st.randoms())
@settings(deadline=None, max_examples=40)
def test_a_round_trip_is_exact(table: pa.Table, buckets: int, chance: Any) -> None:
    """Of every type, with nulls, into any number of buckets, in any order, misses among them."""
    hashes = hash_keys(table["id"])
    order = np.argsort(hashes)
    rows, hashes = table.take(pa.array(order)).combine_chunks(), hashes[order]
    fields = Fields(table.schema)

    made = packed(rows.to_batches()[0], hashes, fields, buckets)

    values = dict(zip(made.numbers.tolist(), made.values.to_pylist(), strict=True))
    one = OneRow(fields)
    for row in rows.to_pylist():
        key_hash = hash_key(row["id"])
        number, data = row_in(values[bucket_of(key_hash, buckets)], key_hash) or (0, b"")
        assert row == one.values(data)
        assert row_in(values[bucket_of(key_hash, buckets)], key_hash, number) is None
    many = ManyRows.of(fields, [values.get(bucket) for bucket in range(buckets)], hashes, buckets_of(hashes, buckets))
    asked = [*range(len(rows)), -1]
    chance.shuffle(asked)
    found = pa.table(many.columns(table.schema.names, np.array(asked)))
    assert hashes.tolist() == many.hashes.tolist()
    assert rows.take(pa.array([None if row < 0 else row for row in asked])).equals(found)


@given(st.integers(1, 2**32 - 1), st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_buckets_are_ranges_of_hashes(buckets: int, hashes: list[int]) -> None:
    """One by one and many at once alike; each begins at its first hash."""
    numbers = [bucket_of(key_hash, buckets) for key_hash in hashes]

    assert numbers == buckets_of(np.array(hashes, np.uint64), buckets).tolist()
    for key_hash, number in zip(hashes, numbers, strict=True):
        assert first_hash(number, buckets) <= key_hash < first_hash(number + 1, buckets)
    assert (first_hash(0, buckets), first_hash(buckets, buckets)) == (0, 1 << 64)
