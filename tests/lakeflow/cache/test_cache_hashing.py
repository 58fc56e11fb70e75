"""Key hashes: the scalar and the vectorised form agree, whatever the layout of the Arrow buffers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.cache.keys.hashing import _hash_text, hash_key, hash_keys

INTEGER_TYPES = {
    pa.int8(): (-(2**7), 2**7 - 1),
    pa.uint8(): (0, 2**8 - 1),
    pa.int32(): (-(2**31), 2**31 - 1),
    pa.uint32(): (0, 2**32 - 1),
    pa.int64(): (-(2**63), 2**63 - 1),
    pa.uint64(): (0, 2**64 - 1),
}
TEXT = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=30)
BYTES = st.lists(st.binary(max_size=40), max_size=30)


@pytest.mark.parametrize("kind", INTEGER_TYPES, ids=str)
@given(data=st.data())
def test_integers_agree(kind: pa.DataType, data: st.DataObject) -> None:
    """An integer column hashes as its values do, for every width and sign."""
    keys = data.draw(st.lists(st.integers(*INTEGER_TYPES[kind]), max_size=30))

    hashes = hash_keys(pa.array(keys, type=kind))

    assert [hash_key(key) for key in keys] == hashes.tolist()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@given(keys=TEXT, start=st.integers(0, 5))
def test_sliced_strings_agree(kind: pa.DataType, keys: list[str], start: int) -> None:
    """A slice of a string column hashes as its values do, empty and long ones included."""
    hashes = hash_keys(pa.array(keys, type=kind).slice(start))

    assert [hash_key(key) for key in keys[start:]] == hashes.tolist()


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=str)
@given(chunks=st.lists(BYTES, max_size=4))
def test_chunked_binaries_agree(kind: pa.DataType, chunks: list[list[bytes]]) -> None:
    """A chunked binary column hashes as its values do, in order."""
    hashes = hash_keys(pa.chunked_array(chunks, type=kind))

    assert [hash_key(key) for chunk in chunks for key in chunk] == hashes.tolist()


def test_many_blocks_agree() -> None:
    """Keys hash the same on both sides of the border between two blocks of rows."""
    keys = [str(number) * (number % 5) for number in range(40_000)]

    hashes = hash_keys(pa.array(keys))

    assert [hash_key(key) for key in keys] == hashes.tolist()


def test_a_string_hashes_as_its_bytes() -> None:
    """Text and its UTF-8 bytes have one hash, and a trailing zero byte makes another."""
    assert hash_key("Łódź") == hash_key("Łódź".encode())
    assert hash_key(b"a") != hash_key(b"a\0")
    assert hash_key(b"") != hash_key(b"\0")


def test_hashes_are_frozen() -> None:
    """Files on disk depend on these values; the integer is SplitMix64's first output for seed 0."""
    assert hash_key(0) == 0xE220A8397B1DCDAF
    assert hash_key("") == 0xA706DD2F4D197E6F


@pytest.mark.parametrize("size", range(40))
@pytest.mark.usefixtures("compiled")
def test_one_text_hashes_alike_compiled_or_not(size: int) -> None:
    """Of any length, also with bytes of zero in it."""
    text = bytes(n * 37 % 256 for n in range(size))

    assert hash_key(text) == hash_keys(pa.array([b"", text]).slice(1))[0] == _hash_text(text)


@pytest.mark.parametrize("keys", [pa.array(range(200_000)), pa.array([f"tt{n:07d}" for n in range(200_000)])])
def test_hashes_spread_evenly(keys: pa.Array) -> None:
    """Consecutive keys don't collide, and fill 256 ranges evenly: chi-square far below its 1e-9 tail."""
    hashes = hash_keys(keys)

    counts = np.bincount((hashes >> np.uint64(56)).astype(np.int64), minlength=256)
    expected = len(keys) / 256
    assert len(np.unique(hashes)) == len(keys)
    assert ((counts - expected) ** 2 / expected).sum() < 400
