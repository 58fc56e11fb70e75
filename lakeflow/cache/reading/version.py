"""One version, open for reading: what is mapped of it stays readable even if the version is removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow.cache.files.columns import chosen
from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow.cache.reading.groups import Groups
from lakeflow.cache.reading.shape import Answer, shape_of
from lakeflow.cache.rows.version import RowMajor
from lakeflow_io.keyed.finder import Finder, Source
from lakeflow_io.keyed.gather import LAST_ROW, ROW_BITS, Gatherer, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from lakeflow.cache.files.manifest import Manifest
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.files.shard import Shard
    from lakeflow.cache.keys.column import Key, KeyColumn, ManyKeys
    from lakeflow.cache.shelf import Shards

__all__ = ["CacheVersion", "OpenVersion"]

_BLOCK_KEYS = 65_536  # hashes, order and rows of a block stay in the L2 cache


@dataclass(frozen=True, slots=True)
class CacheVersion:
    """A published version of a cache."""

    id: str
    rows: int
    bytes: int
    """Of all files of its shards."""
    created: datetime
    """In UTC."""
    source: str | None
    """The input of the run that made it: `table@snapshot`."""
    run_id: str | None
    current: bool
    """Whether readers saw it when this was asked."""
    pinned: bool = False
    """Whether it stays whatever is published."""
    reused_bytes: int = 0
    """Of its bytes those in files of earlier versions, which take no space of their own."""

    @classmethod
    def of(cls, manifest: Manifest, pointer: Pointer | None) -> CacheVersion:
        """Summarise a manifest, and what the pointer says of it."""
        return cls(
            id=manifest.version,
            rows=manifest.rows,
            bytes=manifest.size_bytes,
            created=manifest.created,
            source=manifest.origin.source,
            run_id=manifest.origin.run_id,
            current=bool(pointer and manifest.version == pointer.version),
            pinned=bool(pointer and manifest.version in pointer.pinned),
            reused_bytes=manifest.reused_bytes,
        )


@dataclass(frozen=True, slots=True)
class OpenVersion:
    """A version, mapped: it can be read to the end, whatever is published or removed."""

    manifest: Manifest
    key: KeyColumn
    shards: Shards
    groups: Groups
    """Which shard a key is in."""
    finder: Finder | None
    """Finds keys in all shards, or the hashes of those of several columns; None where nothing was compiled."""
    gatherer: Gatherer
    """Of the rows of all shards."""
    whole: Answer
    """The answer with all columns."""
    is_flat: bool
    """Whether all values are of one known size."""
    row_major: RowMajor | None
    """What finds keys in the rows files, where the version has them."""

    @classmethod
    def of(cls, manifest: Manifest, opened: Callable[[KeyColumn], Shards]) -> OpenVersion:
        """Put a version together.

        Args:
            manifest: Its manifest.
            opened: From the key to the shards.
        """
        shape = shape_of(manifest.schema, manifest.key)
        shards = opened(shape.key)
        groups = Groups.of(manifest)
        gatherer = Gatherer(manifest.schema, [None] * len(shards))

        def needed(number: int) -> Source:
            shard = shards[number]
            gatherer.add(number, shard.rows, (shard.payload, shard.layouts))  # first: what is found can be gathered
            return shard.source

        finder = Finder.of(shape.key.type, groups.firsts, needed, groups.bucket_starts)
        row_major = RowMajor(manifest.schema, shape.key, groups, shards) if manifest.layout == "rows" else None
        return cls(manifest, shape.key, shards, groups, finder, gatherer, shape.whole, shape.is_flat, row_major)

    @property
    def id(self) -> str:
        """The version's id."""
        return self.manifest.version

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.manifest.rows

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.manifest.schema

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield all rows, one shard at a time, mapped: memory holds what is looked at.

        Args:
            columns: Which, in this order; all where None.

        Raises:
            NotFoundError: there is no such column.
            CorruptFileError: a shard is damaged.
        """
        names = chosen(self.schema, columns, self.id)
        for shard in self.shards:
            yield shard.whole().rows.select(names)

    def __contains__(self, key: Key) -> bool:
        """Whether there is a row with this key; raises as `find` does."""
        if self.row_major is not None:
            return self.row_major.get(self.key.check(key), self.key.names) is not None
        return self.find(key) is not None

    def find(self, key: Key, columns: Sequence[str] | None = ()) -> tuple[Shard, int] | None:
        """Return the shard and row of one key by its columns, or None.

        Args:
            key: The key.
            columns: Those that are read then; all where None.

        Raises:
            SchemaError: the key can't be one of this version.
            CorruptFileError: a block that this has to read is damaged.
        """
        checked = self.key.check(key)
        if self.finder is not None and not isinstance(checked, tuple):
            place = self.finder.find(checked, whole=columns is None)
            if place < 0:
                return None
            shard, row = self.shards[place >> ROW_BITS], place & LAST_ROW
        else:
            found = self._compared(checked)
            if found is None:
                return None
            shard, row = found
            if columns is None:
                shard.check(row)
        if columns:
            shard.check(row, columns)
        return shard, row

    def _compared(self, key: Key) -> tuple[Shard, int] | None:
        """As `find`, by the hash alone: keys that have it are compared here."""
        key_hash = hash_key(key)
        if self.finder is not None:
            place = self.finder.find(key_hash)
            number, first = place >> ROW_BITS, place & LAST_ROW
        else:
            number, first = self.groups.number_of(key, key_hash), None
        if number < 0:
            return None
        shard = self.shards[number]
        if first is None:
            shard.whole()
        row = shard.row_of(key, key_hash, first)
        return None if row < 0 else (shard, row)

    def get(self, key: Key, columns: Sequence[str] | None = None) -> dict[str, Any] | None:
        """Return the row of one key as Python values, or None.

        Args:
            key: The key.
            columns: Which columns, in this order; all where None.

        Raises:
            SchemaError: the key can't be one of this version.
            NotFoundError: there is no such column.
        """
        names = None if columns is None else chosen(self.schema, columns, self.id)
        if self.row_major is not None:
            return self.row_major.get(self.key.check(key), names)
        found = self.find(key, names)
        return found[0].row(found[1], names) if found else None

    def get_many(self, keys: ManyKeys, columns: Sequence[str] | None = None) -> pa.Table:
        """Return one row per key, in order, and whether it was found.

        Args:
            keys: The keys.
            columns: Which columns, in this order; all where None. `found` comes last in any case.

        Raises:
            SchemaError: a key can't be one of this version.
            NotFoundError: there is no such column.
        """
        some = self.whole if columns is None else self._answer(columns)
        asked = self.key.array(keys)
        starts = range(0, max(len(asked), 1), _BLOCK_KEYS)
        blocks = [self._get_block(asked.slice(start, _BLOCK_KEYS), some) for start in starts]
        tables = [table for tables in blocks for table in tables]
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables)

    def _answer(self, columns: Sequence[str]) -> Answer:
        return Answer.of(self.schema, self.key, chosen(self.schema, columns, self.id))

    def _get_block(self, asked: pa.Array, answer: Answer) -> list[pa.Table]:
        """Look keys up; in halves where a column would outgrow the 2 GiB that 32-bit offsets reach."""
        try:
            return [self._look_up(asked, answer)]
        except pa.ArrowInvalid:
            half = len(asked) // 2
            if not half:
                raise
            return [*self._get_block(asked[:half], answer), *self._get_block(asked[half:], answer)]

    def _look_up(self, asked: pa.Array, answer: Answer) -> pa.Table:
        if self.row_major is not None:
            hit, found = self.row_major.get_many(asked, answer.values)
        elif (hit := (places := self._places(asked)) >= 0).all():
            found = self.gatherer.gather(places, answer.values)
        else:
            found = self.gatherer.gather(places[hit], answer.values)
            numbers = pa.array(np.cumsum(hit) - 1, mask=~hit)
            found = [column.take(numbers) for column in found]
        given = {**self.key.columns(asked), **dict(zip(answer.values, found, strict=True))}
        return pa.Table.from_arrays([*(given[name] for name in answer.names), pa.array(hit)], schema=answer.schema)

    def _places(self, asked: pa.Array) -> NDArray[np.int64]:
        """Return where each key lies, as the gatherer has it, or a negative number."""
        if self.finder is not None and not pa.types.is_struct(asked.type):
            return self.finder.find_many(asked)
        hashes = hash_keys(asked)
        if self.finder is not None:
            first = self.finder.find_many(hashes)
            numbers, rows = first >> ROW_BITS, first & LAST_ROW
        else:
            numbers, rows = self.groups.numbers_of(asked, hashes), None
        places = np.full(len(asked), -1, dtype=np.int64)
        for number in np.unique(numbers[numbers >= 0]).tolist():
            keys, shard = np.flatnonzero(numbers == number), self.shards[number]
            if rows is None:
                self.gatherer.add(number, shard.whole().rows)
            found = shard.rows_of(asked.take(pa.array(keys)), hashes[keys], None if rows is None else rows[keys])
            hit = found >= 0
            places[keys[hit]] = place_of(number, found[hit])
        return places
