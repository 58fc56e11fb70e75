"""Finds the rows of some hashes in buckets that lie behind each other: numpy looks at all of them at once.

Of a bucket's rows, some thirty, a request wants one or two. So the others aren't looked at, but for the few whose
hashes a binary search compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COUNT_BYTES", "END_BYTES", "HASH_BYTES", "Places", "search", "views"]

COUNT_BYTES, HASH_BYTES, END_BYTES = 4, 8, 4


@dataclass(frozen=True, slots=True)
class Places:
    """Rows, by hash."""

    hashes: NDArray[np.uint64]
    """Theirs."""
    starts: NDArray[np.int64]
    """Where each row begins in the data."""
    ends: NDArray[np.int64]
    """Where it ends."""
    firsts: NDArray[np.int64]
    """For each hash that was looked for, the first of these rows that may have it."""


def search(
    data: NDArray[np.uint8], sizes: NDArray[np.int64], hashes: NDArray[np.uint64], where: NDArray[np.int64]
) -> Places:
    """Return all rows that have one of some hashes, each with the bucket in which it is looked for.

    Args:
        data: Buckets behind each other, and eight bytes more.
        sizes: Of each bucket, in bytes; 0 for one without rows.
        hashes: In any order.
        where: For each of them the place of its bucket; less than 0 where there is none.

    Raises:
        ValueError: a bucket is shorter than it says, or its rows end elsewhere.
        IndexError: a bucket is no bucket.
    """
    counts_of, hash_at, end_at = views(data, "<u4"), views(data, "<u8"), views(data, "<u4")
    firsts = np.cumsum(sizes) - sizes
    counts = np.where(sizes > 0, counts_of[firsts], 0).astype(np.int64)
    if (counts * (HASH_BYTES + END_BYTES) + COUNT_BYTES > np.where(counts, sizes, COUNT_BYTES)).any():
        raise ValueError("it is shorter than it says.")
    bases, limits = firsts + COUNT_BYTES, firsts + sizes
    there = np.flatnonzero(where >= 0)
    bucket = where[there]
    which, rows = _rows_of(hash_at, bases[bucket], counts[bucket], hashes[there])
    which = there[which]
    bucket = where[which]
    ends = bases[bucket] + counts[bucket] * HASH_BYTES
    bodies = ends + counts[bucket] * END_BYTES
    ends = ends + rows * END_BYTES
    starts = np.where(rows == 0, 0, end_at[ends - END_BYTES]) + bodies
    stops = end_at[ends] + bodies
    if (starts > stops).any() or (stops > limits[bucket]).any():
        raise ValueError("its rows end elsewhere than it says.")
    return Places(hashes[which], starts, stops, np.searchsorted(which, np.arange(len(hashes))))


def views(data: NDArray[np.uint8], dtype: Any) -> NDArray[Any]:
    """Return what stands at every byte, whatever its alignment, as one type."""
    kind = np.dtype(dtype)
    return np.ndarray((max(data.size - kind.itemsize + 1, 0),), kind, data, strides=(1,))


def _rows_of(
    hash_at: NDArray[np.uint64], bases: NDArray[np.int64], counts: NDArray[np.int64], sought: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of the hashes were found, each as often as it is there, and the row of each in its bucket."""
    low, high = np.zeros(len(sought), np.int64), counts.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        less = hash_at[bases + middle * HASH_BYTES] < sought
        low, high = np.where(open_ & less, middle + 1, low), np.where(open_ & ~less, middle, high)
    which, rows, found = np.arange(len(sought)), low, []
    while len(which):
        inside = rows < counts[which]
        which, rows = which[inside], rows[inside]
        same = hash_at[bases[which] + rows * HASH_BYTES] == sought[which]
        which, rows = which[same], rows[same]
        found.append((which, rows))
        rows = rows + 1
    if not found:
        return which, rows
    every = np.concatenate([each for each, _ in found])
    order = np.argsort(every, kind="stable")
    return every[order], np.concatenate([each for _, each in found])[order]
