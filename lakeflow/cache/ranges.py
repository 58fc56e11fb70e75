"""Rows that are sorted by key hash, cut into ranges of hashes that are small enough for memory.

Whatever has sorted hashes, segments of a build or shards of versions, has the rows of a range as one
slice. Ranges halve until they fit; as hashes are uniform, they come out within a factor of two of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["ALL_HASHES", "Sorted", "ranges"]

ALL_HASHES = 1 << 64


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows by hash."""

    hashes: NDArray[np.uint64]
    """Ascending; one per row."""
    rows: pa.RecordBatch

    def within(self, least: int, end: int) -> Sorted:
        """Return the rows with hashes in [least, end), without a copy."""
        start = int(np.searchsorted(self.hashes, np.uint64(least), side="left"))
        stop = int(np.searchsorted(self.hashes, np.uint64(end - 1), side="right"))
        return Sorted(self.hashes[start:stop], self.rows.slice(start, stop - start))


def ranges(
    parts: Sequence[Sorted], most_rows: int, most_bytes: int, least: int = 0, end: int = ALL_HASHES
) -> Iterator[tuple[int, int]]:
    """Yield ranges [least, end) of hashes that hold rows, in all parts together at most so many, or of one hash."""
    slices = [part.within(least, end).rows for part in parts]
    rows = sum(each.num_rows for each in slices)
    if not rows:
        return
    if end - least == 1 or (rows <= most_rows and sum(each.nbytes for each in slices) <= most_bytes):
        yield least, end
        return
    middle = (least + end) // 2
    yield from ranges(parts, most_rows, most_bytes, least, middle)
    yield from ranges(parts, most_rows, most_bytes, middle, end)
