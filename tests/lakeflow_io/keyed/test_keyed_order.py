"""Hashes of texts and their order, in C, beside Python's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeflow.cache.keys.hashing import hash_key
from lakeflow_io.errors import CorruptFileError
from lakeflow_io.keyed.order import hashed_texts, sort_hashes

TEXTS = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()]


@pytest.mark.parametrize("kind", TEXTS, ids=str)
@given(keys=st.lists(st.binary(max_size=40).map(bytes.hex), max_size=20), start=st.integers(0, 5))
def test_texts_hash_as_one_by_one(kind: pa.DataType, keys: list[str], start: int) -> None:
    """Each text has the hash that Python computes of it, also in a slice."""
    array = pa.array([key.encode() for key in keys], pa.binary()).cast(kind).slice(start)

    assert [hash_key(key) for key in keys[start:]] == hashed_texts(array).tolist()


def test_offsets_out_of_the_data_are_refused() -> None:
    """A flipped bit in an offset is an error, and no read of other memory."""
    for damaged in ([0, 3, 1 << 30], [0, -5, 6], [0, 6, 3]):
        offsets = np.array([0, 3, 6], dtype=np.int32)
        array = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(b"abcdef")])
        offsets[:] = damaged

        with pytest.raises(CorruptFileError, match="out of its data"):
            hashed_texts(array)


@pytest.mark.usefixtures("compiled")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hashes=st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 5), st.integers(2**63, 2**63 + 3))))
def test_hashes_are_sorted_and_equal_ones_keep_their_order(hashes: list[int]) -> None:
    """Whatever the hashes have in common: as a stable sort of Python does."""
    expected = sorted(enumerate(hashes), key=lambda pair: pair[1])

    ordered, places = sort_hashes(np.array(hashes, dtype=np.uint64), np.arange(len(hashes)))

    assert expected == list(zip(places.tolist(), ordered.tolist(), strict=True))


@pytest.mark.parametrize("shift", [0, 35, 63])
def test_many_hashes_are_sorted(shift: int) -> None:
    """A hundred thousand, of which some agree in the bits that are looked at; or half, as if they were chosen."""
    hashes = np.random.default_rng(0).integers(0, 2**64, 100_000, dtype=np.uint64)
    hashes[::7] = hashes[0] + np.arange(len(hashes[::7]), dtype=np.uint64)
    hashes[1::2] >>= np.uint64(shift)

    ordered, places = sort_hashes(hashes.copy(), np.arange(len(hashes)))

    assert np.array_equal(np.argsort(hashes, kind="stable"), places)
    assert np.array_equal(np.sort(hashes), ordered)
