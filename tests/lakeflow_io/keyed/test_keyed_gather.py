"""Rows of several batches in any order, beside pyarrow's concat and take."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.keyed.gather import Gatherer, place_of

VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "byte": (pa.int8(), st.integers(-128, 127)),
    "short": (pa.uint16(), st.integers(0, 2**16 - 1)),
    "float": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "long": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "time": (pa.timestamp("us"), st.datetimes()),
    "decimal": (pa.decimal128(9, 2), st.integers(-(10**8), 10**8).map(lambda n: Decimal(n) / 100)),
    "three": (pa.binary(3), st.binary(min_size=3, max_size=3)),
    "none": (pa.binary(0), st.just(b"")),
    "bool": (pa.bool_(), st.booleans()),
    "text": (pa.string(), st.text(max_size=9)),
    "large": (pa.large_binary(), st.binary(max_size=9)),
    "list": (pa.list_(pa.int32()), st.lists(st.integers(0, 9), max_size=3)),
}
SCHEMA = pa.schema([*((name, kind) for name, (kind, _) in VALUES.items()), ("nulls", pa.int64())])
ROW = st.fixed_dictionaries(
    {**{name: values for name, (_, values) in VALUES.items()}, "nulls": st.none() | st.integers(0, 9)}
)


@pytest.mark.usefixtures("compiled")
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_come_in_the_order_of_their_places(data: st.DataObject) -> None:
    """Every type, slices of batches, batches that come later, and any columns in any order."""
    parts = data.draw(st.lists(st.lists(ROW, min_size=1, max_size=5), min_size=1, max_size=3))
    skipped = data.draw(st.integers(0, 1))
    batches = [pa.RecordBatch.from_pylist([*part[:1] * skipped, *part], SCHEMA).slice(skipped) for part in parts]
    every = [(number, row) for number, part in enumerate(parts) for row in range(len(part))]
    wanted = data.draw(st.lists(st.sampled_from(every), max_size=12))
    names = data.draw(st.permutations(SCHEMA.names))[: data.draw(st.integers(0, len(SCHEMA)))]
    gatherer = Gatherer(SCHEMA, [None] * len(batches))
    for number, batch in enumerate(batches):
        gatherer.add(number, batch)

    places = np.array([int(place_of(number, np.int64(row))) for number, row in wanted], dtype=np.int64)
    found = gatherer.gather(places, names)

    assert [SCHEMA.field(name).type for name in names] == [column.type for column in found]
    for name, column in zip(names, found, strict=True):
        column.validate(full=True)
        assert [parts[number][row][name] for number, row in wanted] == column.to_pylist()


def test_a_batch_that_comes_later_is_seen() -> None:
    """What was prepared before it came isn't used for its rows."""
    batches = [pa.record_batch({"n": pa.array([number], pa.int64())}) for number in range(2)]
    gatherer = Gatherer(batches[0].schema, [batches[0], None])
    first = gatherer.gather(np.array([0]), ["n"])

    gatherer.add(1, batches[1])

    assert first[0].to_pylist() == [0]
    assert gatherer.gather(np.array([1 << 32, 0]), ["n"])[0].to_pylist() == [1, 0]


def test_no_batches_give_no_rows() -> None:
    """An empty cache has columns, too."""
    assert [[]] * len(SCHEMA) == [
        column.to_pylist() for column in Gatherer(SCHEMA, []).gather(np.array([], dtype=np.int64), SCHEMA.names)
    ]


def test_offsets_out_of_the_data_are_refused() -> None:
    """A flipped bit in an offset of a mapped file is an error, and no read of other memory."""
    offsets = np.array([0, 3, 6], dtype=np.int32)
    column = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(b"abcdef")])
    gatherer = Gatherer(pa.schema([("t", pa.string())]), [pa.record_batch([column], names=["t"])])
    offsets[2] = 1 << 30

    assert gatherer.gather(np.array([0]), ["t"])[0].to_pylist() == ["abc"]
    with pytest.raises(CorruptFileError, match="out of its data"):
        gatherer.gather(np.array([1]), ["t"])


def test_more_text_than_offsets_of_32_bits_reach_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pyarrow's take says it; callers ask for fewer rows at a time."""
    monkeypatch.setattr("lakeflow_io.keyed.gather._MOST_NARROW_BYTES", 100)
    column = pa.array(["x" * 51])
    gatherer = Gatherer(pa.schema([("t", pa.string())]), [pa.record_batch([column], names=["t"])])

    with pytest.raises(pa.ArrowInvalid, match="overflow"):
        gatherer.gather(np.zeros(2, dtype=np.int64), ["t"])
