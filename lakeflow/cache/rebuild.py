"""Builds a version from another one and what changes in it; shards that nothing changes in aren't written again.

A shard has a range of key hashes to itself, up to where the next one begins. Rows that come or go fall into
some of these ranges: those shards are merged anew, and may be cut where they have grown. The others are the new
version's, too, as their shelf shares files: by a second name, or by the name they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.build import Built, sample, write_shards
from lakeflow.cache.columns import fitted, one_batch
from lakeflow.cache.hashing import hash_keys
from lakeflow.cache.merged import Merged
from lakeflow.cache.ranges import ALL_HASHES, Sorted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lakeflow.cache.keys import KeyColumn
    from lakeflow.cache.manifest import ShardFacts
    from lakeflow.cache.segment import Segment
    from lakeflow.cache.shard import Shard
    from lakeflow.cache.shelf import Shelf
    from lakeflow.cache.version import OpenVersion

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
    gone = _by_hash(base.key, deleted)
    shards: list[ShardFacts] = [] if base.shards else write_shards(folder, Merged(opened, base.schema), base.key)
    dropped = 0
    ends = [*base.bounds[1:], ALL_HASHES]
    for number, (facts, least, end) in enumerate(zip(base.manifest.shards, [0, *ends], ends, strict=False)):
        parts = [part for each in opened if (part := each.within(least, end)).rows.num_rows]
        going = [part for part in (*parts, gone.within(least, end)) if part.rows.num_rows]
        stays = _stays(base.key, base.shards[number], going) if going else None
        if stays is None or (stays.all() and not parts):
            shards.append(shelf.reuse(base.id, facts, folder, len(shards)))
            continue
        old = base.shards[number].whole()
        dropped += int((~stays).sum())
        parts.append(Sorted(old.hashes[stays], old.rows.filter(pa.array(stays))))
        shards += write_shards(folder, Merged(parts, base.schema), base.key, len(shards), (least, end))
    taken, came = sample([each.rows for each in opened], base.schema)
    return Built(base.schema, base.manifest.key, tuple(shards), base.rows - dropped + came, taken)


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
