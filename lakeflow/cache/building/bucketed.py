"""Segments of which each has the keys of one bucket of Iceberg's `bucket[N]`: their shards are told apart by it.

A table that is bucketed by the key is read a bucket at a time. Hashes of different buckets overlap all over, so without
this all would have to be merged.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lakeflow_io.keyed.buckets import buckets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.building.segment import Segment
    from lakeflow.cache.files.ranges import Sorted
    from lakeflow.cache.keys.column import KeyColumn

__all__ = ["MOST_BUCKETS", "by_bucket", "one_bucket"]

MOST_BUCKETS = 1 << 16
"""A table of more has tiny ones; readers hold a number for each."""


def one_bucket(keys: pa.Array, count: int) -> int | None:
    """Return the bucket that all keys are in; None where there is no such, or no key.

    Raises:
        CorruptFileError: a text column is damaged.
    """
    found = buckets_of(keys, count)
    return int(found[0]) if len(found) and (found == found[0]).all() else None


def by_bucket(
    segments: Sequence[Segment], opened: Sequence[Sorted], key: KeyColumn, threads: int
) -> tuple[int | None, dict[int | None, list[int]]]:
    """Sort segments into groups.

    Args:
        segments: All of a version.
        opened: Their rows.
        key: The key.
        threads: How many look at once: what facts say of buckets isn't believed.

    Returns:
        How many buckets there are, and for each that has rows, ascending, the numbers of its segments. Or None, and
        all segments as one group, where one has keys of several buckets, or none that it knows of.

    Raises:
        CorruptFileError: a text column is damaged.
    """
    filled = [number for number, rows in enumerate(opened) if len(rows.hashes)]
    everything: tuple[None, dict[int | None, list[int]]] = (None, {None: list(range(len(segments)))})
    counts = {segments[number].buckets for number in filled}
    said = {segments[number].facts.bucket for number in filled}
    if len(counts) != 1 or len(said) < 2 or None in counts or None in said:  # noqa: PLR2004  (one is no group of several)
        return everything
    [count] = counts
    if count is None or not 0 < count <= MOST_BUCKETS:
        return everything

    def looked(number: int) -> int | None:
        return one_bucket(key.keys_of(opened[number].rows), count)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(looked, filled))
    if None in found:
        return everything
    pairs = sorted(zip((bucket for bucket in found if bucket is not None), filled, strict=True))
    groups: dict[int | None, list[int]] = {}
    for bucket, number in pairs:
        groups.setdefault(bucket, []).append(number)
    return count, groups
