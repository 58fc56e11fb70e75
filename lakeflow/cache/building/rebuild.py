"""Builds a version from another one and what changes in it; shards that nothing changes in aren't written again.

A shard has a range of key hashes to itself, up to where the next one begins. Rows that come or go fall into
some of these ranges: those shards are merged anew, and may be cut where they have grown. The others are the new
version's, too, as their shelf shares files: by a second name, or by the name they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.building.build import Built, fields_for, sample, write_shards
from lakeflow.cache.building.merged import Merged
from lakeflow.cache.files.columns import fitted, one_batch
from lakeflow.cache.files.ranges import ALL_HASHES, Sorted
from lakeflow.cache.keys.hashing import hash_keys
from lakeflow_io.keyed.buckets import buckets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lakeflow.cache.building.segment import Segment
    from lakeflow.cache.files.manifest import ShardFacts
    from lakeflow.cache.files.shard import Shard
    from lakeflow.cache.keys.column import KeyColumn
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.shelf import Shelf

__all__ = ["rebuild"]


def rebuild(base: OpenVersion, shelf: Shelf, folder: Path, segments: Sequence[Segment], deleted: pa.Array) -> Built:
    """Write what changes of a version into `folder`, and reuse the rest.

    Args:
        base: The version before.
        shelf: Where it is.
        folder: A folder without shards.
        segments: Rows that are new or take the place of those with their keys.
        deleted: Keys whose rows go; as `KeyColumn.array` makes them. A row of a segment comes all the same.

    Raises:
        SchemaError: the segments' columns don't fit the base's.
        DuplicateKeyError: two rows of the segments have one key.
        ObjectNotFoundError: the base was removed meanwhile.
        CorruptFileError: a shard of the base that has to be merged isn't what was written.
        StoreError: a file can't be read or written.
    """
    opened = [_fitted(segment.opened(), base.schema) for segment in segments]
    cut = [_cut(base, rows) for rows in (*opened, _by_hash(base.key, deleted))]
    fields = fields_for(base.manifest.layout, base.schema)
    shards: list[ShardFacts] = []
    dropped = 0
    for bucket, numbers in base.groups:
        *coming, going = [rows_of(bucket) for rows_of in cut]
        if not numbers:
            rows = Merged(coming, base.schema)
            shards += write_shards(folder, rows, base.key, fields, len(shards), bucket=bucket)
        for number, least, end in _spans(base.groups.firsts, numbers):
            parts = [part for each in coming if (part := each.within(least, end)).rows.num_rows]
            out = [part for part in (*parts, going.within(least, end)) if part.rows.num_rows]
            facts = base.manifest.shards[number]
            stays = _stays(base.key, base.shards[number], out) if out else None
            if stays is None or (stays.all() and not parts):
                shards.append(shelf.reuse(base.id, facts, folder, len(shards)))
                continue
            old = base.shards[number].whole()
            dropped += int((~stays).sum())
            parts.append(Sorted(old.hashes[stays], old.rows.filter(pa.array(stays))))
            rows = Merged(parts, base.schema)
            shards += write_shards(folder, rows, base.key, fields, len(shards), (least, end), bucket=bucket)
    taken, came = sample([each.rows for each in opened], base.schema)
    rows_now = base.rows - dropped + came
    layout = base.manifest.layout
    return Built(base.schema, base.manifest.key, tuple(shards), rows_now, taken, base.groups.buckets, layout)


def _spans(firsts: Sequence[int], numbers: range) -> Iterator[tuple[int, int, int]]:
    """Yield the numbers of a group's shards, and the range [least, end) of hashes that each has to itself."""
    for number in numbers:
        least = 0 if number == numbers.start else firsts[number]
        yield number, least, ALL_HASHES if number + 1 == numbers.stop else firsts[number + 1]


def _cut(base: OpenVersion, rows: Sorted) -> Callable[[int | None], Sorted]:
    """Return what gives the rows whose keys are in a bucket; all where the version has no buckets."""
    if base.groups.buckets is None:
        return lambda _: rows
    buckets = buckets_of(base.key.keys_of(rows.rows), base.groups.buckets)

    def rows_of(bucket: int | None) -> Sorted:
        inside = buckets == bucket
        return Sorted(rows.hashes[inside], rows.rows.filter(pa.array(inside)))

    return rows_of


def _fitted(segment: Sorted, schema: pa.Schema) -> Sorted:
    """Bring rows into a version's columns; where they have its types, they stay mapped."""
    return Sorted(segment.hashes, one_batch(fitted(pa.Table.from_batches([segment.rows]), schema)))


def _by_hash(key: KeyColumn, keys: pa.Array) -> Sorted:
    """Return keys as rows of nothing else."""
    hashes = hash_keys(keys)
    order = np.argsort(hashes, kind="stable")
    rows = pa.RecordBatch.from_arrays(list(key.columns(keys).values()), schema=pa.schema(key.fields))
    return Sorted(hashes[order], rows.take(pa.array(order)))


def _stays(key: KeyColumn, shard: Shard, going: Sequence[Sorted]) -> NDArray[np.bool_]:
    """Tell which rows of a shard have another key than those that are replaced or deleted."""
    stays = np.ones(len(shard.whole().hashes), dtype=np.bool_)
    for part in going:
        places = shard.rows_of(key.keys_of(part.rows), part.hashes)
        stays[places[places >= 0]] = False
    return stays
