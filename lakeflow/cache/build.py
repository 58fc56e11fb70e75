"""Merges segments into the shards of a version, one range of key hashes at a time.

Segments are sorted by hash and mapped, so a build holds two shards in memory, whatever the size of the cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.columns import common_schema, one_batch
from lakeflow.cache.failures import writing
from lakeflow.cache.hashing import join_keys
from lakeflow.cache.keys import key_of
from lakeflow.cache.ranges import ALL_HASHES, ranges
from lakeflow.cache.segment import open_segment
from lakeflow.cache.shard import write_shard
from lakeflow_io.errors import DuplicateKeyError, SchemaError
from lakeflow_io.keyed.gather import Gatherer, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lakeflow.cache.keys import KeyColumn, KeyNames
    from lakeflow.cache.manifest import ShardFacts
    from lakeflow.cache.ranges import Sorted

__all__ = ["Built", "build", "sample", "write_shards"]

SHARD_ROWS = 4_000_000
"""An index of 32 MB: a look-up reads it in 22 steps, of which the first dozen stay in the cache."""
SHARD_BYTES = 256 << 20
"""What each builder holds in memory about twice over: the slices that it maps, and the sorted rows."""
_BUILDERS = 2
"""Threads that build shards, nearly always without the GIL; more of them would hold more."""

_SAMPLE_ROWS = 256  # enough to see a shard that is missing or shifted, read in a few milliseconds
_NAMED_KEYS = 5


@dataclass(frozen=True, slots=True)
class Built:
    """Finished files that no manifest names yet."""

    schema: pa.Schema
    key: KeyNames
    shards: tuple[ShardFacts, ...]
    rows: int
    """Rows of the segments."""
    sample: pa.Table
    """Some rows of the segments, to compare with what the finished files say."""


def build(folder: Path, segments: Sequence[Path], key: KeyNames) -> Built:
    """Write the shards of a version into `folder`.

    Args:
        folder: An empty folder.
        segments: Files that `CacheWriter` wrote, at least one.
        key: The key column or columns.

    Raises:
        SchemaError: the segments differ in their columns, or there are none.
        DuplicateKeyError: two rows have one key.
        StoreError: a file can't be read or written.
    """
    if not segments:
        message = "There is no data to build a cache version from, so its columns aren't known."
        raise SchemaError(message, "for an empty version, give an empty table that has the columns.")
    opened = [open_segment(path) for path in segments]
    schema = common_schema([segment.rows.schema for segment in opened])
    column = key_of(schema, key)
    shards = write_shards(folder, opened, column, schema)
    total = sum(len(segment.hashes) for segment in opened)
    return Built(schema, key, tuple(shards), total, sample(opened, schema, total))


def write_shards(
    folder: Path,
    parts: Sequence[Sorted],
    key: KeyColumn,
    schema: pa.Schema,
    number: int = 0,
    within: tuple[int, int] = (0, ALL_HASHES),
) -> list[ShardFacts]:
    """Merge rows into shards.

    Args:
        folder: Where they go.
        parts: The rows.
        key: Their key.
        schema: The columns that the shards have.
        number: Of the first shard.
        within: The range [least, end) of hashes that becomes shards.

    Raises:
        DuplicateKeyError: two rows have one key.
        StoreError: a file can't be written.
    """

    def written(shard: tuple[int, tuple[int, int]]) -> ShardFacts:
        number, (least, end) = shard
        rows, hashes = _merge(folder, parts, least, end, schema)
        _refuse_duplicates(key, key.keys_of(rows), hashes)
        return write_shard(folder, f"shard-{number:04d}", rows, hashes)

    cut = enumerate(ranges(parts, SHARD_ROWS, SHARD_BYTES, *within), number)
    with ThreadPoolExecutor(_BUILDERS) as builders:
        return list(builders.map(written, cut))


def _merge(
    folder: Path, segments: Sequence[Sorted], least: int, end: int, schema: pa.Schema
) -> tuple[pa.RecordBatch, NDArray[np.uint64]]:
    parts = [part for segment in segments if (part := segment.within(least, end)).rows.num_rows]
    hashes = np.concatenate([part.hashes for part in parts])
    places = [place_of(number, np.arange(len(part.hashes))) for number, part in enumerate(parts)]
    order = np.argsort(hashes, kind="stable")  # merges the runs that the segments already are
    with writing(folder):
        batches = [one_batch(_joined([part.rows], schema)) for part in parts]
        columns = Gatherer(schema, batches).gather(np.concatenate(places)[order], schema.names)
        return pa.RecordBatch.from_arrays(columns, schema=schema), hashes[order]


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    tables = [pa.Table.from_batches([batch]).select(schema.names).cast(schema) for batch in batches]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _refuse_duplicates(column: KeyColumn, keys: pa.Array, hashes: NDArray[np.uint64]) -> None:
    """Compare the keys of rows with equal hashes, which are few."""
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    if not len(same):
        return
    suspects = keys.take(pa.array(np.union1d(same, same + 1)))
    comparable = join_keys(suspects) if pa.types.is_struct(suspects.type) else suspects
    counted = comparable.value_counts()
    several = counted.field("values").filter(pc.call_function("greater", [counted.field("counts"), 1]))
    first = pc.call_function("index_in", [several], pc.SetLookupOptions(value_set=comparable))
    repeated = column.values(suspects.take(first))
    if repeated:
        named = ", ".join(repr(key) for key in sorted(repeated)[:_NAMED_KEYS])
        more = ", ..." if len(repeated) > _NAMED_KEYS else ""
        message = f"More than one row has the key {named}{more}"
        raise DuplicateKeyError(message, "keep one row for each key; nothing was published.")


def sample(segments: Sequence[Sorted], schema: pa.Schema, total: int) -> pa.Table:
    """Take rows at even distances over all segments: the same ones every time."""
    wanted = np.unique(np.linspace(0, max(total - 1, 0), min(_SAMPLE_ROWS, total), dtype=np.int64))
    starts = np.cumsum([0, *(len(segment.hashes) for segment in segments)])
    taken = []
    for segment, start, end in zip(segments, starts[:-1], starts[1:], strict=True):
        rows = wanted[(wanted >= start) & (wanted < end)] - start
        if len(rows):
            taken.append(segment.rows.take(pa.array(rows)))
    return _joined(taken, schema)
