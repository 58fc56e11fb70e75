"""Segments: what tasks of a run write, for `build` to merge or to take as they are.

A segment has the form of a shard: rows sorted by key hash, and the hashes beside them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa

from lakeflow.cache.building.bucketed import one_bucket
from lakeflow.cache.building.unsorted import MOST_BYTES, MOST_ROWS, Unsorted
from lakeflow.cache.files.columns import common_schema, pieces, stored
from lakeflow.cache.files.failures import reading, writing
from lakeflow.cache.files.manifest import FileFacts, ShardFacts, shard_of_json, shard_to_json
from lakeflow.cache.files.ranges import ALL_HASHES, Sorted, ranges
from lakeflow.cache.files.shard import map_shard, write_shard
from lakeflow.cache.keys.column import KeyNames, key_of
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lakeflow.cache.shelf import Segments

__all__ = ["SEGMENT_BYTES", "CacheWriter", "Segment", "SegmentWriter"]

SEGMENT_BYTES = 256 << 20
"""The most that is sorted in memory at once; string columns with 32-bit offsets stay far from 2 GiB."""
_SEGMENT_ROWS = 4_000_000
"""As many as a shard has at most."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment, at hand."""

    folder: Path
    """Where its files are."""
    facts: ShardFacts
    """Their names, sizes and checksums; the hashes are read from the files."""
    buckets: int | None = None
    """Into how many buckets keys were cut, to see whether all of these are in one."""

    @classmethod
    def of(cls, segments: Segments, fact: dict[str, Any], scratch: Path) -> Segment:
        """Have the files of a segment, in the folder `scratch` where they have to be fetched.

        Args:
            segments: Where they are.
            fact: What `CacheWriter` said, perhaps through a marker: only files among the segments' are looked at.
            scratch: A local folder.

        Raises:
            ObjectNotFoundError: it isn't there.
            CorruptFileError: the fact isn't one of a segment.
            UnsupportedError: it is one of another version of lakeflow.
        """
        name = _name_of(fact)
        if "shard" not in fact:
            message = f"{segments.uri(name)} was written by another version of lakeflow."
            raise UnsupportedError(message, "run it again under another run id.")
        with reading(segments.uri(name)):
            facts = shard_of_json(fact["shard"], "")
            buckets = None if fact.get("buckets") is None else index(fact["buckets"])
            bucket = None if facts.bucket is None else index(facts.bucket)
            payload, hashes = (
                FileFacts(each, index(file.bytes), index(file.crc32))
                for each, file in zip(_files(name), (facts.payload, facts.index), strict=True)
            )
        [folder, _] = [segments.fetched(file.name, file.bytes, scratch).parent for file in (payload, hashes)]
        return cls(folder, replace(facts.with_files(payload, hashes), bucket=bucket), buckets)

    def opened(self) -> Sorted:
        """Map it, and compare all of it with its checksums: else damage would be written again, with ones that fit it.

        Raises:
            ObjectNotFoundError: it isn't there.
            CorruptFileError: it isn't what was written, or has another size or number of rows than the facts say.
        """
        rows, payload, index = map_shard(self.folder, self.facts, "run it again under another run id.")
        index.check_all()
        payload.check_all()
        return rows


@dataclass(frozen=True, slots=True)
class CacheWriter:
    """The worker's side of a cache: a `ShardWriter` that writes segments."""

    segments: Segments
    """Where they go."""
    key: KeyNames
    buckets: int | None = None
    """The N of `bucket[N]` of the key by which the input is cut, where it is; whether a segment is, is looked at."""
    threads: int = 1
    """How many sort and write at once; together they hold a segment."""

    def write(self, name: str, data: pa.Table) -> list[dict[str, Any]]:
        """Write `data` into one segment, or into several where it is large.

        Args:
            name: How the file names begin.
            data: Any columns, with the key among them.

        Returns:
            For each segment `path` (a URI, of its rows), `rows`, `bytes` of its files, `shard`: what the manifest
            says of a shard, and of which number of `buckets` its bucket is one.

        Raises:
            SchemaError: no usable key column, or a null key.
            StoreError: the file can't be written; nothing is left behind.
        """
        facts: list[dict[str, Any]] = []
        try:
            for piece in pieces(stored(data, self.key), MOST_BYTES, MOST_ROWS):
                self._write(name, piece, facts)
        except BaseException:
            self.discard(facts)
            raise
        return facts

    def _write(self, name: str, table: pa.Table, facts: list[dict[str, Any]]) -> None:
        """Cut rows into ranges of hashes: what is one table becomes segments that needn't be merged."""
        key = key_of(table.schema, self.key)
        with writing(self.segments.uri("")):
            rows = Unsorted.of(table, key, self.threads)
        cut = [*ranges([rows], _SEGMENT_ROWS, SEGMENT_BYTES // self.threads)] or [(0, ALL_HASHES)]

        labels = [f"{name}-{uuid4().hex}" for _ in cut]
        planned: list[dict[str, Any]] = [{"path": self.segments.uri(f"{label}.arrow")} for label in labels]
        facts += planned  # before there are files

        def written(label: str, fact: dict[str, Any], span: tuple[int, int]) -> None:
            with writing(self.segments.uri(label)), self.segments.writing() as folder:
                found = rows.within(*span)
                shard = write_shard(folder, label, found.rows, found.hashes)
            if self.buckets is not None:
                shard = replace(shard, bucket=one_bucket(key.keys_of(found.rows), self.buckets))
            size = shard.payload.bytes + shard.index.bytes
            fact |= {"rows": shard.rows, "bytes": size, "buckets": self.buckets, "shard": shard_to_json(shard)}

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(written, labels, planned, cut))

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
            for file in _files(_name_of(fact)):
                self.segments.delete(file)


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


def _name_of(fact: dict[str, Any]) -> str:
    """Return a segment's name, alone, so that no fact can name a file that is none."""
    return unquote(fact["path"]).rpartition("/")[2]


def _files(name: str) -> tuple[str, str]:
    """Return the names of the files of the segment whose rows have the one given."""
    return name, f"{name.removesuffix('.arrow')}.idx"
