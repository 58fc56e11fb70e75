"""Which shard of a version a key is in: by the bucket of the key, where there are buckets, then by its hash.

Tables that are bucketed by the key, with Iceberg's `bucket[N]`, are read a bucket at a time, so the rows of each come
sorted from a task of its own. Shards that are told apart by buckets take them as they are, without a merge.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakeflow_io.keyed.buckets import bucket_of, buckets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeflow.cache.files.manifest import Manifest
    from lakeflow.cache.keys.column import Key

__all__ = ["Groups"]


@dataclass(frozen=True, slots=True)
class Groups:
    """The shards of a version, in groups: one for each bucket, or one alone."""

    firsts: list[int]
    """The first hash of each shard, ascending within each group."""
    buckets: int | None
    starts: NDArray[np.int64]
    """The first shard of each group, and how many shards there are."""

    @classmethod
    def of(cls, manifest: Manifest) -> Groups:
        """Those of a manifest."""
        firsts = [facts.first_hash for facts in manifest.shards]
        if manifest.buckets is None:
            return cls(firsts, None, np.array([0, len(firsts)], dtype=np.int64))
        numbers = [facts.bucket for facts in manifest.shards]
        starts = np.searchsorted(np.array(numbers, dtype=np.int64), np.arange(manifest.buckets + 1))
        return cls(firsts, manifest.buckets, starts.astype(np.int64))

    @property
    def bucket_starts(self) -> NDArray[np.int64]:
        """As a `Finder` takes them."""
        return self.starts if self.buckets is not None else self.starts[:0]

    def __iter__(self) -> Iterator[tuple[int | None, range]]:
        """Yield each bucket, or None, and the numbers of its shards."""
        for bucket in range(len(self.starts) - 1):
            numbers = range(int(self.starts[bucket]), int(self.starts[bucket + 1]))
            yield (None if self.buckets is None else bucket), numbers

    def number_of(self, key: Key, key_hash: int) -> int:
        """Return the number of the shard in which a key is, if it is there; -1 where it can't be."""
        group = 0 if self.buckets is None or isinstance(key, tuple) else bucket_of(key, self.buckets)
        start, end = int(self.starts[group]), int(self.starts[group + 1])
        number = bisect_right(self.firsts, key_hash, start, end) - 1
        return number if number >= start else -1

    def numbers_of(self, keys: pa.Array, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """As `number_of`, of many keys, as int64."""
        firsts = np.array(self.firsts, dtype=np.uint64)
        if self.buckets is None:
            return np.searchsorted(firsts, hashes, side="right").astype(np.int64) - 1
        numbers = np.full(len(keys), -1, dtype=np.int64)
        buckets = buckets_of(keys, self.buckets)
        for bucket in np.unique(buckets).tolist():
            start, end = int(self.starts[bucket]), int(self.starts[bucket + 1])
            inside = np.flatnonzero(buckets == bucket)
            found = np.searchsorted(firsts[start:end], hashes[inside], side="right")
            numbers[inside] = np.where(found > 0, start + found - 1, -1)
        return numbers
