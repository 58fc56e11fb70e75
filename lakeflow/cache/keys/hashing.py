"""The 64-bit hash of a key: one vectorised form over Arrow buffers, one scalar form, the same result.

`lakeflow_io.keyed` has both in C for texts; these are what is used where nothing was compiled, and what it is held to.

The hash places a row (rows are sorted by it) and finds it again; it never decides equality, so a
collision costs a comparison and never an answer. It isn't keyed: it spreads, it doesn't defend.

An integer is its 64-bit two's complement, mixed. A string or binary is cut into little-endian
64-bit words, the last padded with zeros; each word is tweaked with its position and mixed; the sum
(which numpy can reduce without a loop over keys or words) is combined with the length and mixed
again. A composite key is hashed as the bytes of `join_key`. `mix` is the output function of
SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with
the constants of Stafford's variant 13.

Stored files depend on this: a change of any bit needs another `HASH_NAME`, or `JOINED_HASH_NAME`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow_io.keyed.order import hashed_text, hashed_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import Key, KeyPart

__all__ = ["HASH_NAME", "JOINED_HASH_NAME", "hash_key", "hash_keys", "join_key", "join_keys"]

HASH_NAME = "splitmix64-words-1"
JOINED_HASH_NAME = "splitmix64-words-1/length-prefixed-1"
"""Of composite keys."""

_ALL_BITS = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd: SplitMix64's increment
_MIX_1 = 0xBF58476D1CE4E5B9  # Stafford's variant 13
_MIX_2 = 0x94D049BB133111EB
_WORD_BYTES = 8
_LENGTH_BYTES = 4
_BLOCK_ROWS = 16_384  # a block's words stay in the L2 cache for short keys
_TAIL_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(_WORD_BYTES + 1)], dtype=np.uint64)


def hash_key(key: Key) -> int:
    """Hash one key.

    Args:
        key: An integer (taken modulo 2**64), a string (its UTF-8 bytes) or bytes; or a tuple of them.

    Returns:
        An integer in [0, 2**64).
    """
    if isinstance(key, int):
        return _mix_one(key & _ALL_BITS)
    data = join_key(key) if isinstance(key, tuple) else _bytes_of(key)
    hashed = hashed_text(data)
    return _hash_text(data) if hashed is None else hashed


def hash_keys(keys: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """Hash every key of a column, without a Python loop per key.

    Args:
        keys: Any integer, (large_)string or (large_)binary type, or a struct of them, without nulls; slices are fine.

    Returns:
        uint64, one per key, in order; equal to `hash_key` of each.
    """
    chunks = keys.chunks if isinstance(keys, pa.ChunkedArray) else [keys]
    hashes = [_hash_chunk(chunk) for chunk in chunks if len(chunk)]
    return np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64)


def join_key(key: tuple[KeyPart, ...]) -> bytes:
    """Write the parts of a composite key behind each other, so that no two keys give the same bytes.

    Each part is its length (4 bytes) and its bytes: UTF-8, or the 8 of an integer's two's complement;
    all little-endian. Without lengths, ("ab", "c") would be ("a", "bc").
    """
    return b"".join(len(data).to_bytes(_LENGTH_BYTES, "little") + data for data in map(_bytes_of, key))


def join_keys(keys: pa.StructArray) -> pa.LargeBinaryArray:
    """Write every key of an array of structs as `join_key` does, without a Python loop per key.

    A part of 4 GiB or more is written with a shorter length, which hashing bears.
    """
    parts = [part for column in keys.flatten() for part in _joinable(column)]
    return pc.call_function("binary_join_element_wise", [*parts, pa.scalar(b"", pa.large_binary())])


def _joinable(column: pa.Array) -> list[pa.Array]:
    """Return what stands for a column in joined keys, as large binaries."""
    if pa.types.is_integer(column.type):
        records = np.empty(len(column), dtype=[("length", "<u4"), ("value", "<u8")])
        records["length"], records["value"] = _WORD_BYTES, _words_of(column)
        return [_fixed(records)]
    lengths = pc.call_function("binary_length", [column]).to_numpy(zero_copy_only=False)
    return [_fixed(lengths.astype("<u4")), column.cast(pa.large_binary())]


def _fixed(records: NDArray[Any]) -> pa.LargeBinaryArray:
    """Return each element of a numpy array as its bytes."""
    offsets = np.arange(len(records) + 1, dtype=np.int64) * records.itemsize
    return pa.Array.from_buffers(
        pa.large_binary(), len(records), [None, pa.py_buffer(offsets), pa.py_buffer(records.view(np.uint8))]
    )


def _bytes_of(part: KeyPart) -> bytes:
    if isinstance(part, int):
        return (part & _ALL_BITS).to_bytes(_WORD_BYTES, "little")
    return part.encode() if isinstance(part, str) else part


def _words_of(integers: pa.Array) -> NDArray[np.uint64]:
    """Return integers as 64-bit two's complement."""
    values = integers.to_numpy(zero_copy_only=False)
    return values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)


def _hash_text(data: bytes) -> int:
    total = 0
    for position in range(max(1, -(-len(data) // _WORD_BYTES))):
        start = position * _WORD_BYTES
        word = int.from_bytes(data[start : start + _WORD_BYTES], "little")
        total += _mix_one(word ^ (position * _GOLDEN & _ALL_BITS))
    return _mix_one((total & _ALL_BITS) ^ len(data))


def _hash_chunk(chunk: pa.Array) -> NDArray[np.uint64]:
    if pa.types.is_integer(chunk.type):
        return _mix(_words_of(chunk).copy())
    if pa.types.is_struct(chunk.type):
        chunk = join_keys(chunk)
    hashed = hashed_texts(chunk)
    return _hash_texts(chunk) if hashed is None else hashed


def _hash_texts(chunk: pa.Array) -> NDArray[np.uint64]:
    large = pa.types.is_large_string(chunk.type) or pa.types.is_large_binary(chunk.type)
    _, offset_buffer, data_buffer = chunk.buffers()
    every_offset = np.frombuffer(offset_buffer, dtype=np.int64 if large else np.int32)
    offsets = every_offset[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer or b"", dtype=np.uint8)
    hashes = np.empty(len(chunk), dtype=np.uint64)
    for start in range(0, len(chunk), _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, len(chunk))
        hashes[start:end] = _hash_bytes(data, offsets[start : end + 1])
    return hashes


def _hash_bytes(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash the byte strings between consecutive `offsets` (int64, n + 1) of `data`."""
    first = offsets[0]
    # padded, as the last word may reach past the end
    padded = np.zeros(offsets[-1] - first + _WORD_BYTES, dtype=np.uint8)
    padded[:-_WORD_BYTES] = data[first : offsets[-1]]
    every_byte: NDArray[np.uint64] = np.ndarray(
        (padded.size - _WORD_BYTES + 1,), dtype="<u8", buffer=padded, strides=(1,)
    )
    lengths = np.diff(offsets)
    counts = np.maximum(-(-lengths // _WORD_BYTES), 1)
    firsts = np.cumsum(counts) - counts
    positions = np.arange(counts.sum()) - np.repeat(firsts, counts)
    words = every_byte[np.repeat(offsets[:-1] - first, counts) + positions * _WORD_BYTES]
    left = np.repeat(lengths, counts) - positions * _WORD_BYTES
    words &= _TAIL_MASKS[np.minimum(left, _WORD_BYTES)]
    words ^= positions.astype(np.uint64) * np.uint64(_GOLDEN)
    sums: NDArray[np.uint64] = np.add.reduceat(_mix(words), firsts)
    sums ^= lengths.astype(np.uint64)
    return _mix(sums)


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix each word in place."""
    words += np.uint64(_GOLDEN)
    words ^= words >> np.uint64(30)
    words *= np.uint64(_MIX_1)
    words ^= words >> np.uint64(27)
    words *= np.uint64(_MIX_2)
    words ^= words >> np.uint64(31)
    return words


def _mix_one(word: int) -> int:
    word = (word + _GOLDEN) & _ALL_BITS
    word = ((word ^ (word >> 30)) * _MIX_1) & _ALL_BITS
    word = ((word ^ (word >> 27)) * _MIX_2) & _ALL_BITS
    return word ^ (word >> 31)
