"""The rows of a local version, cut into ranges of buckets that are encoded at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeflow.cache.building.merged import Merged
from lakeflow.cache.files.ranges import ALL_HASHES
from lakeflow.cache.rows.packing import Packed, first_hash, packed, row_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.cache.files.ranges import Sorted
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.rows.fields import Fields

__all__ = ["Source", "buckets_for"]

_BUCKET_BYTES = 1 << 10
"""A server's own cost of a key, some 90 bytes, is a tenth of it; and a thousand look-ups send a megabyte."""

_STEP_ROWS = 16_384  # encoded at once: what they take stays in the L2 cache
_STEP_BYTES = 4 << 20  # of Arrow; what is made of them is about as large
_SAMPLE_SHARDS = 8  # about so many are looked at for the size of rows
_SAMPLE_ROWS = 256  # of each
_HEAD_BYTES = 12  # in a bucket, for each row


@dataclass(frozen=True, slots=True)
class Source:
    """A version, mapped, and into how many buckets it is cut."""

    opened: OpenVersion
    fields: Fields
    buckets: int

    def steps(self, first: int) -> Iterator[tuple[int, Packed]]:
        """Yield the buckets from `first` on, some at a time, each with the number of the first that follows."""
        rows = max(self.opened.rows, 1)
        step = max(1, self.buckets * _STEP_ROWS // rows)
        while first < self.buckets:
            end = min(first + step, self.buckets)
            yield from self._pieces(first, end)
            first = end

    def packed(self, first: int, end: int) -> Packed | None:
        """Return the buckets in a range; None where it has no rows."""
        runs = self._runs(first, end)
        return self._packed(runs) if runs else None

    def _pieces(self, first: int, end: int) -> Iterator[tuple[int, Packed]]:
        """Cut a range in halves until it is small, or one bucket."""
        runs = self._runs(first, end)
        size = sum(run.rows.nbytes for run in runs)
        if size > _STEP_BYTES and end - first > 1:
            half = (first + end) // 2
            yield from self._pieces(first, half)
            yield from self._pieces(half, end)
        elif runs:
            yield end, self._packed(runs)

    def _runs(self, first: int, end: int) -> list[Sorted]:
        """Return the rows of some buckets: of one shard, of two neighbours, or of each group of shards."""
        low, high = (first_hash(bucket, self.buckets) for bucket in (first, end))
        runs: list[Sorted] = []
        for number, facts in enumerate(self.opened.manifest.shards):
            if facts.first_hash < high and facts.last_hash >= low:
                shard = self.opened.shards[number]  # of an object store it may be fetched only now
                inside = shard.whole().within(low, high)
                if len(inside.hashes):
                    runs.append(inside)
        return runs

    def _packed(self, runs: list[Sorted]) -> Packed:
        rows = Merged(runs, self.opened.schema).within(0, ALL_HASHES)
        return packed(rows.rows, rows.hashes, self.fields, self.buckets)


def buckets_for(opened: OpenVersion, fields: Fields) -> int:
    """Return how many buckets a version gets, by the size of the first rows of its shards; 1 where it is empty."""
    rows, size = 0, 0
    for number in range(0, len(opened.shards), max(len(opened.shards) // _SAMPLE_SHARDS, 1)):
        sample = row_bytes(opened.shards[number].whole().rows.slice(0, _SAMPLE_ROWS), fields)
        rows += len(sample)
        size += len(sample.buffers()[2]) + _HEAD_BYTES * len(sample)
    if not rows:
        return 1
    return min(max(opened.rows * size // (rows * _BUCKET_BYTES), 1), opened.rows, (1 << 32) - 1)
