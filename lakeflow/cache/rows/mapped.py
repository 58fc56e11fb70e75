"""The rows file of a shard, mapped: one bucket of it, or many, read from the disk at once where they have to be.

A page fault would read one page after the other, or the pages around each of them, up to the read-ahead of the disk.
So the file is mapped for random reads, and a bucket that isn't in memory is asked for as a whole before it is touched;
of many buckets, all are asked for before the first is waited for, and the disk has them under way together.
Offsets and sums, half a percent of the file, are asked for when a key of the shard first is.

A bucket is compared with its CRC-32 when this process first touches it.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.files.mapping import is_here, wait_for, will_need
from lakeflow.cache.rows.file import BATCH_BUCKETS, BUCKETS, MOST_BUCKETS, SCHEMA
from lakeflow.cache.rows.packing import bucket_of, buckets_of
from lakeflow_io.errors import CorruptFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Buckets", "MappedRows", "Run"]

_SAMPLE = 16
"""Of a request's buckets in a shard: where all of so many are in memory, few of the others aren't, most likely."""


class MappedRows:
    """A rows file that is decoded when it is first needed: of a cache that is opened, most shards may never be.

    Args:
        path: Of the file, for messages.
        content: The file, mapped without read-ahead.
        first_hash: Of the shard.
        last_hash: Of the shard.
    """

    def __init__(self, path: str, content: pa.Buffer, first_hash: int, last_hash: int) -> None:
        self._path, self._content, self._hashes = path, content, (first_hash, last_hash)
        self._buckets: Buckets | None = None

    def buckets(self) -> Buckets:
        """Return the buckets; two threads that ask at once decode twice, which is harmless.

        Raises:
            CorruptFileError: the file can't be decoded.
        """
        buckets = self._buckets
        if buckets is None:
            buckets = self._buckets = Buckets(self._path, self._content, *self._hashes)
        return buckets


class Buckets:
    """A shard's buckets; any number of threads may read at once.

    Args:
        path: Of the file, for messages.
        content: The file.
        first_hash: Of the shard.
        last_hash: Of the shard.

    Raises:
        CorruptFileError: it can't be decoded.
    """

    def __init__(self, path: str, content: pa.Buffer, first_hash: int, last_hash: int) -> None:
        self._path = path
        try:
            opened = pa.ipc.open_file(content)
            self._scale = _scale_of(opened.schema)
            self._first, last = (bucket_of(key_hash, self._scale) for key_hash in (first_hash, last_hash))
            self._count = last - self._first + 1
            self._batches = [_Batch(opened.get_batch(number)) for number in range(opened.num_record_batches)]
        except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as error:  # Arrow's OSErrors, too
            raise _corrupt(f"{path} can't be decoded: {error}") from error
        expected = [min(BATCH_BUCKETS, self._count - start) for start in range(0, self._count, BATCH_BUCKETS)]
        if [batch.count for batch in self._batches] != expected:
            raise _corrupt(f"{path} has more or fewer than {self._count} buckets.")
        self._checked = bytearray(self._count)
        """1 for each bucket that was compared with its sum."""
        self._known = np.frombuffer(self._checked, np.uint8)

    def one(self, key_hash: int) -> bytes | None:
        """Return the bucket in which a key is, if it is anywhere.

        Raises:
            CorruptFileError: it isn't what was written.
        """
        number = bucket_of(key_hash, self._scale) - self._first
        if number >= self._count:
            return None
        batch, place = self._batches[number // BATCH_BUCKETS], number % BATCH_BUCKETS
        start, end = batch.offsets[place], batch.offsets[place + 1]
        if not self._checked[number] or not batch.is_here(start, end):
            batch.ask(start, end)
            batch.wait(start, end)
        bucket = bytes(batch.data[start:end])
        if not self._checked[number]:
            self._check(number, bucket)
        return bucket

    def numbers_of(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the number of the bucket in which each key is, if it is anywhere; -1 where it can't be."""
        numbers = buckets_of(hashes, self._scale) - self._first
        return np.where(numbers < self._count, numbers, -1)

    def runs(self, numbers: NDArray[np.int64]) -> list[Run]:
        """Return buckets by their numbers, which ascend."""
        batches = numbers // BATCH_BUCKETS
        edges = [0, *(np.flatnonzero(np.diff(batches)) + 1).tolist(), len(numbers)]
        return [Run(self._batches[batches[start]], numbers[start:end]) for start, end in pairwise(edges) if start < end]

    def ask(self, runs: Sequence[Run]) -> list[Run]:
        """Have buckets read that may not be in memory; return those.

        To ask of each of them whether it is takes longer than to read it from there. So that is asked of some, and the
        others are taken to be like them, where this process had them before.
        """
        known = [self._known[run.numbers] != 0 for run in runs]
        step = sum(map(np.count_nonzero, known)) // _SAMPLE + 1
        here = all(run.is_here(np.flatnonzero(had)[::step]) for run, had in zip(runs, known, strict=True))
        asked = (
            [Run(run.batch, run.numbers[~had]) for run, had in zip(runs, known, strict=True)] if here else list(runs)
        )
        for run in asked:
            run.ask()
        return asked

    def read(self, runs: Sequence[Run]) -> list[memoryview]:
        """Return buckets, mapped.

        Raises:
            CorruptFileError: one isn't what was written.
        """
        found = []
        for run in runs:
            buckets = run.buckets()
            for place in np.flatnonzero(self._known[run.numbers] == 0).tolist():
                self._check(int(run.numbers[place]), buckets[place])
            found += buckets
        return found

    def _check(self, number: int, bucket: bytes | memoryview) -> None:
        expected = self._batches[number // BATCH_BUCKETS].sums[number % BATCH_BUCKETS]
        seen = zlib.crc32(bucket, self._scale)
        if seen != expected:
            raise _corrupt(f"Bucket {number} of {self._path} has CRC-32 {seen:08x}; the file says {expected:08x}.")
        self._checked[number] = 1


class Run:
    """Some buckets of a batch.

    Args:
        batch: The batch.
        numbers: Of the buckets in their file, ascending.
    """

    __slots__ = ("_ends", "_starts", "batch", "numbers")

    def __init__(self, batch: _Batch, numbers: NDArray[np.int64]) -> None:
        self.batch, self.numbers = batch, numbers
        places = numbers % BATCH_BUCKETS
        self._starts, self._ends = batch.where[places], batch.where[places + 1]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return int((self._ends - self._starts).sum())

    def is_here(self, places: NDArray[np.int64]) -> bool:
        """Whether those at some places are in memory."""
        pairs = zip(self._starts[places].tolist(), self._ends[places].tolist(), strict=True)
        return all(self.batch.is_here(start, end) for start, end in pairs)

    def ask(self) -> None:
        """Have all of them read."""
        for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True):
            self.batch.ask(start, end)

    def wait(self) -> None:
        """Wait for what was asked for."""
        for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True):
            self.batch.wait(start, end)

    def buckets(self) -> list[memoryview]:
        """Return all of them, mapped."""
        data = self.batch.data
        return [data[start:end] for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True)]


class _Batch:
    """Some buckets that follow each other."""

    __slots__ = ("address", "count", "data", "offsets", "size", "sums", "where")

    def __init__(self, batch: pa.RecordBatch) -> None:
        column, sums = batch.columns
        _, offsets, data = column.buffers()
        self.offsets: memoryview[int] = memoryview(offsets).cast("B").cast("q")
        self.where = np.frombuffer(self.offsets, np.int64)
        """The same: numpy reads many at once faster, and a memoryview one."""
        self.sums: memoryview[int] = memoryview(sums.buffers()[1]).cast("B").cast("I")
        self.data = memoryview(data or b"")
        self.size = len(self.data)
        self.address = data.address if data else 0
        self.count = len(self.sums)
        if not len(self.offsets) - 1 == self.count == batch.num_rows:
            raise ValueError("its columns have different lengths.")
        for buffer in (offsets, sums.buffers()[1]):
            will_need(buffer.address, buffer.size)

    def is_here(self, start: int, end: int) -> bool:
        """Whether some bytes of buckets are in memory."""
        return not self._has(start, end) or is_here(self.address + start, end - start)

    def ask(self, start: int, end: int) -> None:
        """Have some bytes of buckets read."""
        if self._has(start, end):
            will_need(self.address + start, end - start)

    def wait(self, start: int, end: int) -> None:
        """Wait for what was asked for."""
        if self._has(start, end):
            wait_for(self.address + start, end - start)

    def _has(self, start: int, end: int) -> bool:
        """Whether offsets point to anything: to be outside is damage, which a bucket's sum tells."""
        return 0 <= start < end <= self.size


def _scale_of(schema: pa.Schema) -> int:
    """Return into how many buckets all hashes are cut."""
    scale = int((schema.metadata or {})[BUCKETS])
    if schema.remove_metadata() != SCHEMA or not 0 < scale <= MOST_BUCKETS:
        raise ValueError(f"it has the columns {schema.names}, and {scale} buckets.")
    return scale


def _corrupt(message: str) -> CorruptFileError:
    return CorruptFileError(message, "call repair(), or roll back to another version.")
