"""Builds the shards of a version, one range of key hashes at a time: from segments, or from rows in memory.

Segments are sorted by hash and mapped, so a build holds two shards in memory, whatever the size of the cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.building.adopt import linked, spans
from lakeflow.cache.building.bucketed import by_bucket
from lakeflow.cache.building.merged import Merged
from lakeflow.cache.building.segment import Segment
from lakeflow.cache.building.unsorted import Unsorted
from lakeflow.cache.files.columns import common_schema
from lakeflow.cache.files.failures import writing
from lakeflow.cache.files.ranges import ALL_HASHES, ranges
from lakeflow.cache.files.shard import write_row_major, write_shard
from lakeflow.cache.keys.column import key_of
from lakeflow.cache.keys.hashing import join_keys
from lakeflow.cache.rows.fields import Fields
from lakeflow_io.errors import CorruptFileError, DuplicateKeyError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lakeflow.cache.files.layout import Layout
    from lakeflow.cache.files.manifest import ShardFacts
    from lakeflow.cache.files.ranges import Rows, Sorted
    from lakeflow.cache.keys.column import KeyColumn, KeyNames

__all__ = ["BUILDERS", "Built", "build", "build_table", "fields_for", "sample", "write_shards"]

SHARD_ROWS = 4_000_000
"""An index of 32 MB: a look-up reads it in 22 steps, of which the first dozen stay in the cache."""
SHARD_BYTES = 256 << 20
"""What each builder holds in memory about twice over: the slices that it maps, and the sorted rows."""
BUILDERS = 2
"""Threads that build shards, nearly always without the GIL; more of them would hold more."""
_SHARED_BYTES = 32 << 20
"""From which on one shard is two, for two threads: some 100 ms of work, beside which a second file is cheap."""

_LARGE = 4
"""The part of a shard's size from which on a segment may be one, however many there are: 5 GB are 80 shards at most."""
_FEW = 16
"""Segments that become shards whatever their size; to open so many takes some 10 ms."""
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
    buckets: int | None = None
    """By how many buckets the shards are told apart."""
    layout: Layout = "columns"


def build(folder: Path, segments: Sequence[Segment], key: KeyNames, layout: Layout = "columns") -> Built:
    """Make segments the shards of a version in `folder`: where they overlap they are merged, else linked.

    Args:
        folder: An empty folder.
        segments: What `CacheWriter` wrote, at least one.
        key: The key column or columns.
        layout: How rows lie for look-ups.

    Raises:
        UnsupportedError: the layout is rows, and a column has no exact form in one.
        SchemaError: the segments differ in their columns, or there are none.
        DuplicateKeyError: two rows have one key.
        CorruptFileError, ObjectNotFoundError: a segment isn't what a task wrote.
        StoreError: a file can't be read or written.
    """
    if not segments:
        message = "There is no data to build a cache version from, so its columns aren't known."
        raise SchemaError(message, "for an empty version, give an empty table that has the columns.")
    with ThreadPoolExecutor(BUILDERS) as builders:  # all of each is compared with its checksums
        opened = list(builders.map(Segment.opened, segments))
    schema = common_schema([each.rows.schema for each in opened])
    column, fields = key_of(schema, key), fields_for(layout, schema)
    buckets, groups = by_bucket(segments, opened, column, BUILDERS)
    if not _worth(opened, len(groups)):
        buckets, groups = None, {None: list(range(len(opened)))}
    pieces: list[_Piece] = []
    for bucket, numbers in groups.items():
        few = max(_FEW // len(groups), 1)
        pieces += _pieces([segments[n] for n in numbers], [opened[n] for n in numbers], schema, bucket, few)
    taken, total = sample([each.rows for each in opened], schema)
    shards = _write(folder, pieces, column, fields)
    return Built(schema, key, tuple(shards), total, taken, buckets, layout)


def fields_for(layout: Layout, schema: pa.Schema) -> Fields | None:
    """Return how rows lie in bytes, where the layout has them.

    Raises:
        UnsupportedError: a column has no exact form; it names the column.
    """
    return Fields(schema) if layout == "rows" else None


def _worth(opened: Sequence[Sorted], groups: int) -> bool:
    """Whether groups of shards are better than a merge, which makes as few shards as there can be."""
    rows, size = sum(each.rows.num_rows for each in opened), sum(each.rows.nbytes for each in opened)
    if groups <= _FEW:
        return rows > SHARD_ROWS or size > _SHARED_BYTES
    return rows // groups >= SHARD_ROWS // _LARGE or size // groups >= SHARD_BYTES // _LARGE


def _pieces(
    segments: Sequence[Segment], opened: Sequence[Sorted], schema: pa.Schema, bucket: int | None, few: int
) -> list[_Piece]:
    """Cut the segments of a group into what is merged and what is taken as it is."""

    def usable(number: int) -> bool:
        """Whether a segment can be a shard: of the very columns, and not larger than one."""
        rows = opened[number].rows
        return rows.schema.equals(schema) and rows.num_rows <= SHARD_ROWS and rows.nbytes <= SHARD_BYTES

    def large(number: int) -> bool:
        rows = opened[number].rows
        return rows.num_rows >= SHARD_ROWS // _LARGE or rows.nbytes >= SHARD_BYTES // _LARGE

    most_bytes = _shared_bytes(sum(each.rows.nbytes for each in opened))
    found: list[_Piece] = []
    for least, end, number in spans([each.hashes for each in opened], usable, large, few):
        if number is None:
            found += _cut(Merged(opened, schema), (least, end), most_bytes, bucket)
        else:
            found.append(_Piece(opened[number], least, end, bucket, segments[number]))
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """What becomes one shard: rows with hashes in [least, end)."""

    rows: Rows
    least: int
    end: int
    bucket: int | None
    segment: Segment | None = None
    """All of whose rows these are, where it becomes a shard as it is."""


def build_table(folder: Path, table: pa.Table, key: KeyNames, layout: Layout = "columns") -> Built:
    """Write the shards of a version into `folder`, each gathered from where its rows lie in memory.

    Args:
        folder: An empty folder.
        table: Of stored form; it is held until the end, and 16 bytes a row with it.
        key: The key column or columns.
        layout: How rows lie for look-ups.

    Raises:
        UnsupportedError: the layout is rows, and a column has no exact form in one.
        DuplicateKeyError: two rows have one key.
        CorruptFileError: a text column is damaged.
        StoreError: a file can't be written.
    """
    column, fields = key_of(table.schema, key), fields_for(layout, table.schema)
    with writing(folder):
        rows = Unsorted.of(table, column, BUILDERS)
    shards = write_shards(folder, rows, column, fields, most_bytes=_shared_bytes(table.nbytes))
    taken, total = sample(table.to_batches(), table.schema)
    return Built(table.schema, key, tuple(shards), total, taken, layout=layout)


def _shared_bytes(total: int) -> int:
    """Return how large a shard becomes at most where all of them have so many bytes: each builder gets one."""
    return min(SHARD_BYTES, max(_SHARED_BYTES, total * 5 // (4 * BUILDERS)))  # hashes aren't spread quite evenly


def write_shards(
    folder: Path,
    rows: Rows,
    key: KeyColumn,
    fields: Fields | None,
    number: int = 0,
    within: tuple[int, int] = (0, ALL_HASHES),
    most_bytes: int | None = None,
    bucket: int | None = None,
) -> list[ShardFacts]:
    """Write rows into shards.

    Args:
        folder: Where they go.
        rows: The rows.
        key: Their key.
        fields: How a row lies in bytes, where the layout has them.
        number: Of the first shard.
        within: The range [least, end) of hashes that becomes shards.
        most_bytes: Of a shard, where it isn't `SHARD_BYTES`.
        bucket: The one that all keys are in, where the version has buckets.

    Raises:
        DuplicateKeyError: two rows have one key.
        CorruptFileError: a text column is damaged.
        StoreError: a file can't be written.
    """
    return _write(folder, _cut(rows, within, most_bytes or SHARD_BYTES, bucket), key, fields, number)


def _cut(rows: Rows, within: tuple[int, int], most_bytes: int, bucket: int | None) -> list[_Piece]:
    return [_Piece(rows, *span, bucket) for span in ranges([rows], SHARD_ROWS, most_bytes, *within)]


def _write(
    folder: Path, pieces: Sequence[_Piece], key: KeyColumn, fields: Fields | None, number: int = 0
) -> list[ShardFacts]:
    """Make pieces shards, numbered from `number` on."""

    def written(numbered: tuple[int, _Piece]) -> ShardFacts:
        number, piece = numbered
        with writing(folder):
            found = piece.rows.within(piece.least, piece.end)
        _refuse_duplicates(key, key.keys_of(found.rows), found.hashes)
        if piece.segment is None:
            facts = write_shard(folder, f"shard-{number:04d}", found.rows, found.hashes, fields)
        else:
            facts = _adopted(folder, piece.segment, found, fields, number)
        return replace(facts, bucket=piece.bucket)

    with ThreadPoolExecutor(BUILDERS) as builders:
        return list(builders.map(written, enumerate(pieces, number)))


def _adopted(folder: Path, segment: Segment, found: Sorted, fields: Fields | None, number: int) -> ShardFacts:
    """Make a segment a shard; what its facts say of hashes isn't believed."""
    hashes = found.hashes
    if len(hashes) != segment.facts.rows or (hashes[1:] < hashes[:-1]).any():
        message = f"The hashes beside {segment.folder / segment.facts.payload.name} aren't in order."
        raise CorruptFileError(message, "run it again under another run id.")
    facts = replace(segment.facts, owner=folder.name, first_hash=int(hashes[0]), last_hash=int(hashes[-1]))
    shard = linked(segment.folder, facts, folder, number)
    if fields is None:
        return shard
    return replace(shard, row_major=write_row_major(folder, f"shard-{number:04d}", found.rows, hashes, fields))


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


def sample(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> tuple[pa.Table, int]:
    """Take rows at even distances, the same ones every time; return them, and how many rows there are."""
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    total = int(starts[-1])
    wanted = np.unique(np.linspace(0, max(total - 1, 0), min(_SAMPLE_ROWS, total), dtype=np.int64))
    taken = [schema.empty_table()]
    for batch, start, end in zip(batches, starts[:-1], starts[1:], strict=True):
        rows = wanted[(wanted >= start) & (wanted < end)] - start
        if len(rows):
            taken.append(pa.Table.from_batches([batch.take(pa.array(rows))]).select(schema.names).cast(schema))
    return pa.concat_tables(taken), total
