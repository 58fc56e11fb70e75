"""Rows that are sorted by key hash, cut into ranges of hashes that are small enough for memory.

Whatever has sorted hashes, segments of a build or shards of versions, has the rows of a range as one
slice. Ranges halve until they fit; as hashes are uniform, they come out within a factor of two of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["ALL_HASHES", "Rows", "Sorted", "ranges", "span"]

ALL_HASHES = 1 << 64


class Rows(Protocol):
    """Rows, of which those in a range of hashes can be had in order."""

    def size(self, least: int, end: int) -> tuple[int, int]:
        """Return how many rows have hashes in [least, end), and about how many bytes these are."""
        ...

    def within(self, least: int, end: int) -> Sorted:
        """Return the rows with hashes in [least, end), of which there are some."""
        ...


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows by hash; a `Rows`."""

    hashes: NDArray[np.uint64]
    """Ascending; one per row."""
    rows: pa.RecordBatch

    def size(self, least: int, end: int) -> tuple[int, int]:
        """Return how many rows have hashes in [least, end), and their bytes."""
        rows = self.within(least, end).rows
        return rows.num_rows, rows.nbytes

    def within(self, least: int, end: int) -> Sorted:
        """Return the rows with hashes in [least, end), without a copy."""
        rows = span(self.hashes, least, end)
        return Sorted(self.hashes[rows], self.rows.slice(rows.start, rows.stop - rows.start))


def span(hashes: NDArray[np.uint64], least: int, end: int) -> slice:
    """Return where hashes in [least, end) lie among ascending ones."""
    start = int(np.searchsorted(hashes, np.uint64(least), side="left"))
    stop = int(np.searchsorted(hashes, np.uint64(end - 1), side="right"))
    return slice(start, stop)


def ranges(
    parts: Sequence[Rows], most_rows: int, most_bytes: int, least: int = 0, end: int = ALL_HASHES
) -> Iterator[tuple[int, int]]:
    """Yield ranges [least, end) of hashes that hold rows, in all parts together at most so many, or of one hash."""
    sizes = [part.size(least, end) for part in parts]
    rows = sum(count for count, _ in sizes)
    if not rows:
        return
    if end - least == 1 or (rows <= most_rows and sum(size for _, size in sizes) <= most_bytes):
        yield least, end
        return
    middle = (least + end) // 2
    yield from ranges(parts, most_rows, most_bytes, least, middle)
    yield from ranges(parts, most_rows, most_bytes, middle, end)
