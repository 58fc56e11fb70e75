"""64-bit Roaring bitmaps in their portable form -> sorted numbers.

The form: https://github.com/RoaringBitmap/RoaringFormatSpec ("Extension for 64-bit Implementations"). A number
is cut into 32 bits that choose a bitmap, 16 that choose a container in it, and 16 that are in the container:
as an array, as a bit set, or as runs. numpy takes each container at once, and a container has up to 65,536
numbers: no library is faster by enough to depend on it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["numbers_of"]

# Of the specification.
_COOKIE_PLAIN, _COOKIE_RUNS = 12346, 12347
_OFFSETS_FROM = 4
_ARRAY_AT_MOST = 4096
_BITSET_BYTES = 8192
_CONTAINERS = 1 << 16


def numbers_of(data: memoryview) -> NDArray[np.uint64]:
    """The numbers in a bitmap, ascending.

    Raises:
        ValueError: it is damaged; says where.
    """
    parts: list[NDArray[np.uint64]] = []
    (count,), at = _read("<Q", data, 0)
    last = -1
    for _ in range(count):
        (high,), at = _read("<I", data, at)
        if high <= last:
            raise ValueError(f"bitmap {high} follows bitmap {last} at byte {at - 4}")
        last = high
        at = _bitmap(data, at, np.uint64(high << 32), parts)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes follow its end")
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _bitmap(data: memoryview, at: int, base: np.uint64, parts: list[NDArray[np.uint64]]) -> int:
    """One 32-bit bitmap; returns where it ends."""
    (cookie,), at = _read("<I", data, at)
    runs = np.zeros(0, np.uint8)
    if cookie & 0xFFFF == _COOKIE_RUNS:
        count = (cookie >> 16) + 1
        flags, at = _array(data, at, np.dtype(np.uint8), (count + 7) // 8)
        runs = np.unpackbits(flags, bitorder="little")
    elif cookie == _COOKIE_PLAIN:
        (count,), at = _read("<I", data, at)
    else:
        raise ValueError(f"the cookie at byte {at - 4} is {cookie}")
    if count > _CONTAINERS:
        raise ValueError(f"a bitmap has {count} containers")
    return _containers(data, at, base, (count, runs), parts)


def _containers(
    data: memoryview,
    at: int,
    base: np.uint64,
    described: tuple[int, NDArray[np.uint8]],
    parts: list[NDArray[np.uint64]],
) -> int:
    """A bitmap behind its cookie; `described` are the number of containers and which of them hold runs."""
    count, runs = described
    header, at = _array(data, at, np.dtype("<u2"), 2 * count)
    keys, sizes = header[0::2].astype(np.uint64), header[1::2].astype(np.int64) + 1
    if (keys[1:] <= keys[:-1]).any():
        raise ValueError("its containers are not in order")
    if not len(runs) or count >= _OFFSETS_FROM:
        at += 4 * count  # where containers begin: they follow each other
    for index in range(count):
        if len(runs) and runs[index]:
            low, at = _run_container(data, at)
        elif sizes[index] <= _ARRAY_AT_MOST:
            low, at = _array(data, at, np.dtype("<u2"), int(sizes[index]))
            if (low[1:] <= low[:-1]).any():
                raise ValueError(f"the container that ends at byte {at} is not in order")
        else:
            words, at = _array(data, at, np.dtype(np.uint8), _BITSET_BYTES)
            low = np.flatnonzero(np.unpackbits(words, bitorder="little"))
        if len(low) != sizes[index]:
            raise ValueError(f"the container that ends at byte {at} has {len(low)} numbers, not {sizes[index]}")
        parts.append(low.astype(np.uint64) | (base | keys[index] << np.uint64(16)))
    return at


def _run_container(data: memoryview, at: int) -> tuple[NDArray[np.int64], int]:
    (count,), at = _read("<H", data, at)
    pairs, at = _array(data, at, np.dtype("<u2"), 2 * count)
    starts, lengths = pairs[0::2].astype(np.int64), pairs[1::2].astype(np.int64) + 1
    if (starts[1:] < (starts + lengths)[:-1]).any() or (count and starts[-1] + lengths[-1] > _CONTAINERS):
        raise ValueError(f"the runs that end at byte {at} overlap or are too long")
    # Each run's numbers are counted from where the runs before it left off.
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum())), at


def _read(form: str, data: memoryview, at: int) -> tuple[tuple[int, ...], int]:
    try:
        return struct.unpack_from(form, data, at), at + struct.calcsize(form)
    except struct.error:
        raise ValueError(f"it ends at byte {len(data)}, in the middle of a header") from None


def _array(data: memoryview, at: int, kind: np.dtype[Any], count: int) -> tuple[NDArray[Any], int]:
    end = at + count * kind.itemsize
    if end > len(data):
        raise ValueError(f"it ends at byte {len(data)}, and {end} are needed")
    return np.frombuffer(data[at:end], kind), end
