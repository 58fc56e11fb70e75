"""Segments: what tasks of a run write, each an Arrow IPC file sorted by key hash, for `build` to merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa

from lakeflow.cache.columns import common_schema, pieces, stored
from lakeflow.cache.failures import reading, writing
from lakeflow.cache.keys import KeyNames, key_of
from lakeflow.cache.ranges import ALL_HASHES, Sorted
from lakeflow.cache.unsorted import Unsorted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lakeflow.cache.shelf import Segments

__all__ = ["SEGMENT_BYTES", "CacheWriter", "SegmentWriter", "open_segment", "segment_name"]

SEGMENT_BYTES = 256 << 20
"""The most that is sorted in memory at once; string columns with 32-bit offsets stay far from 2 GiB."""

_HASH_FIELD = pa.field("__lakeflow_hash", pa.uint64(), nullable=False)  # known by its place: the first


@dataclass(frozen=True, slots=True)
class CacheWriter:
    """The worker's side of a cache: a `ShardWriter` that writes segments."""

    segments: Segments
    """Where they go."""
    key: KeyNames

    def write(self, name: str, data: pa.Table) -> list[dict[str, Any]]:
        """Write `data` into one segment, or into several where it is large.

        Args:
            name: How the file names begin.
            data: Any columns, with the key among them.

        Returns:
            For each file `path` (a URI), `rows` and `bytes`.

        Raises:
            SchemaError: no usable key column, or a null key.
            StoreError: the file can't be written; nothing is left behind.
        """
        facts: list[dict[str, Any]] = []
        try:
            for piece in pieces(stored(data, self.key), SEGMENT_BYTES):
                file = f"{name}-{uuid4().hex}.arrow"
                facts.append({"path": self.segments.uri(file), "rows": piece.num_rows, "bytes": 0})
                facts[-1]["bytes"] = _write_segment(self.segments, file, piece, self.key)
            self.segments.settle()
        except BaseException:
            self.discard(facts)
            raise
        return facts

    def writer(self, name: str, memory: int) -> SegmentWriter:
        """What writes rows that come one table after the other.

        Args:
            name: How the file names begin.
            memory: Bytes that it may hold; sorting takes as much again.
        """
        return SegmentWriter(self, name, min(SEGMENT_BYTES, memory // 2))

    def discard(self, staged: Sequence[dict[str, Any]]) -> None:
        """Delete segments; one that is gone already is no error."""
        for fact in staged:
            self.segments.delete(segment_name(fact))


class SegmentWriter:
    """Collects rows until they are worth a segment; made by `CacheWriter.writer`.

    Args:
        writer: Writes them.
        name: How the file names begin.
        size: Bytes of Arrow memory from which on they are.
    """

    def __init__(self, writer: CacheWriter, name: str, size: int) -> None:
        self._writer, self._name, self._size = writer, name, size
        self._rows: list[pa.Table] = []
        self._bytes = 0
        """Of these rows."""
        self._staged: list[dict[str, Any]] = []

    def write(self, data: pa.Table) -> None:
        """Take rows over.

        Raises:
            SchemaError: no usable key column, a null key, or other columns than the rows before.
            StoreError: the file can't be written.
        """
        if self._rows and not data.schema.equals(self._rows[0].schema):
            common_schema([self._rows[0].schema, data.schema])
            self._flush()  # a column of only nulls takes its type when segments are merged
        self._rows.append(data)
        self._bytes += data.nbytes
        if self._bytes >= self._size:
            self._flush()

    def close(self) -> list[dict[str, Any]]:
        """Write what is left; returns the facts of all segments."""
        if self._rows:
            self._flush()
        return self._staged

    def discard(self) -> None:
        """Leave nothing behind."""
        self._rows = []
        self._writer.discard(self._staged)
        self._staged = []

    def _flush(self) -> None:
        rows, self._rows, self._bytes = self._rows, [], 0
        self._staged += self._writer.write(self._name, pa.concat_tables(rows))


def segment_name(fact: dict[str, Any]) -> str:
    """Return a segment's name, alone, so that no fact can name a file that is none."""
    return unquote(fact["path"].rpartition("/")[2])


def open_segment(path: Path) -> Sorted:
    """Map a segment.

    Raises:
        ObjectNotFoundError: it isn't there.
        CorruptFileError: it isn't a segment.
    """
    with reading(path), pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).get_batch(0)
        hashes = batch.column(0).to_numpy()
        return Sorted(hashes, batch.select(batch.schema.names[1:]))


def _write_segment(segments: Segments, name: str, table: pa.Table, key: KeyNames) -> int:
    with writing(segments.uri(name)):
        rows = Unsorted.of(table, key_of(table.schema, key)).within(0, ALL_HASHES)
        schema = pa.schema([_HASH_FIELD, *table.schema])
        batch = pa.RecordBatch.from_arrays([pa.array(rows.hashes), *rows.rows.columns], schema=schema)
        with segments.create(name) as file:
            with pa.ipc.new_file(file, batch.schema) as writer:
                writer.write_batch(batch)
            return int(file.tell())
