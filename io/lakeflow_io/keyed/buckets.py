"""In which bucket of Iceberg's transform `bucket[N]` a key is: murmur3_x86_32, as appendix B of its spec says."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow_io.keyed.binding import address, keyed_library, texts_of
from lakeflow_io.keyed.order import corrupt_texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["bucket_of", "buckets_of"]

_ALL_BITS, _WORD = 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF
_BYTES = 8  # of an integer, whatever its type


def bucket_of(key: int | str | bytes, count: int) -> int:
    """Return the bucket of a key, from 0 on.

    Args:
        key: An integer (taken modulo 2**64), a string (its UTF-8 bytes) or bytes.
        count: How many buckets there are.
    """
    if isinstance(key, int):
        data = (key & _ALL_BITS).to_bytes(_BYTES, "little")
    else:
        data = key.encode() if isinstance(key, str) else key
    return (_murmur(data) & _POSITIVE) % count


def buckets_of(keys: pa.Array, count: int) -> NDArray[np.int64]:
    """Return the bucket of each key, as int64; without the library in a loop over keys.

    Args:
        keys: Integers, (large_)string or (large_)binary without nulls; a slice is fine.
        count: How many buckets there are.

    Raises:
        CorruptFileError: an offset points out of the data.
    """
    native = keyed_library()
    if native is None:
        some: Iterable[int | str | bytes] = keys.to_pylist()
        return np.fromiter((bucket_of(key, count) for key in some), dtype=np.int64, count=len(keys))
    found = np.empty(len(keys), dtype=np.int64)
    if pa.types.is_integer(keys.type):
        values = keys.to_numpy(zero_copy_only=False)
        words = np.ascontiguousarray(values if values.dtype == np.uint64 else values.astype(np.int64))
        native.lf_bucket_words(address(words), len(keys), count, address(found))
        return found
    texts = texts_of(keys)
    if texts is None and len(keys):
        raise TypeError(f"keys of type {keys.type} have no buckets.")
    if texts is not None and not native.lf_bucket_texts(ctypes.byref(texts), len(keys), count, address(found)):
        raise corrupt_texts()
    return found


def _murmur(data: bytes) -> int:
    """As `lf_murmur` of bucket.c."""
    value, whole = 0, len(data) // 4 * 4
    for start in range(0, whole, 4):
        value ^= _scrambled(int.from_bytes(data[start : start + 4], "little"))
        value = (_rotated(value, 13) * 5 + 0xE6546B64) & _WORD
    if whole < len(data):
        value ^= _scrambled(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    value = ((value ^ value >> 16) * 0x85EBCA6B) & _WORD
    value = ((value ^ value >> 13) * 0xC2B2AE35) & _WORD
    return value ^ value >> 16


def _scrambled(word: int) -> int:
    return _rotated(word * 0xCC9E2D51 & _WORD, 15) * 0x1B873593 & _WORD


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD
