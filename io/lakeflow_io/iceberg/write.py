"""A stream of rows of any length -> data files of any number of partitions, in one pass and bounded memory.

Rows wait, by partition, until they make a row group of their partition's open file; a file is closed when it has
the table's target size. When memory is used up, the partition that holds most of it has its file closed early: so
few partitions get large files, and hundreds of them get as large ones as memory allows. A sorted file can only be
written once all of its rows are there, so in a sorted table rows wait until they make a file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from lakeflow_io.errors import ConfigError, StoreError
from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.describe import describe_file
from lakeflow_io.iceberg.internals import arrow_schema, check_metrics
from lakeflow_io.iceberg.partition import partition_rows, sort_rows
from lakeflow_io.parquet.encode import Encoder, group_bytes
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join
from lakeflow_io.storage.upload import IN_FLIGHT, PART_BYTES

if TYPE_CHECKING:
    from lakeflow_io.iceberg.stage import Stager
    from lakeflow_io.storage.upload import Upload

__all__ = ["Writer"]

_log = logging.getLogger("lakeflow.write")

# write.target-file-size-bytes, by Iceberg's documentation.
_TARGET_BYTES = 512 * 1024 * 1024
# Of the memory: rows that wait to be told apart by partition, which takes the less for each the more they are; and
# rows that a sorted file may have, which are copied once more when it is sorted.
_APART_SHARE, _MOST_APART_BYTES = 16, 64 * 1024 * 1024
_SORTED_SHARE = 4
# Rows of one partition are handed on in so many parts of a row group: it is larger by one of them at most.
_SLICES = 16
# The memory is for rows and what is encoded of them. What sorting, encoding and Arrow's allocator take comes on top.
_HELD_SHARE = 2
# Encoded bytes a byte of Arrow memory, until a file has told; a mean in which the last one counts for a third.
_FIRST_RATIO, _RATIO_WEIGHT = 0.4, 1 / 3
# What an upload in parts may hold: those under way, one that waits and one that is filled.
_UPLOAD_BYTES = (IN_FLIGHT + 2) * PART_BYTES


@dataclass(slots=True)
class _OpenFile:
    path: str
    upload: Upload
    encoder: Encoder
    arrow_bytes: int = 0

    @property
    def held(self) -> int:
        """Bytes of memory that its upload takes, at most."""
        return self.upload.tell() if self.upload.tell() <= PART_BYTES else _UPLOAD_BYTES


@dataclass(slots=True)
class _Partition:
    values: tuple[str | None, ...]
    rows: list[pa.Table] = field(default_factory=list)
    waiting: int = 0
    """Arrow bytes of `rows`."""
    file: _OpenFile | None = None

    @property
    def held(self) -> int:
        return self.waiting + (self.file.held if self.file else 0)


class Writer:
    """Writes rows into files of one table that no snapshot names yet; made by `Stager.writer`.

    Args:
        stager: The table.
        name: How the files' names begin.
        memory: Bytes of rows and encoded rows that may be held, and what it takes to sort and encode them.

    Raises:
        ConfigError: a property of the table says nothing that can be.
    """

    def __init__(self, stager: Stager, name: str, memory: int) -> None:
        self._stager, self._name = stager, name
        self._schema = arrow_schema(stager.schema, field_ids=True)
        check_metrics(stager.schema, stager.properties)
        self._target = _target_bytes(stager.properties)
        self._group = group_bytes(stager.properties)
        self._most_held = max(1, memory // _HELD_SHARE)
        self._most_sorted = max(1, memory // _SORTED_SHARE)
        self._most_apart = max(1, min(memory // _APART_SHARE, _MOST_APART_BYTES))
        self._ratio = _FIRST_RATIO
        self._apart: list[pa.Table] = []
        self._apart_bytes = 0
        self._partitions: dict[tuple[str | None, ...], _Partition] = {}
        self._held = 0
        self.staged: list[dict[str, Any]] = []
        """What was written so far, a description a file."""
        self.committing = False
        """Whether a catalog may know of the files: from then on nobody deletes them who hasn't looked."""

    def write(self, data: pa.Table) -> None:
        """Take rows over.

        Args:
            data: Any column order; cast to the table's types.

        Raises:
            SchemaError: it doesn't fit the table.
            StoreError: the store refused.
        """
        rows = conform(data, self._schema, self._stager.table)
        if rows.num_rows == 0:
            return
        if not self._stager.spec.fields:
            while rows.num_rows:
                step = _rows_of(rows, self._chunk_bytes() // _SLICES)  # which changes with each file
                self._add((), rows.slice(0, step))
                rows = rows.slice(step)
            return
        self._apart.append(rows)
        self._apart_bytes += rows.nbytes
        if self._apart_bytes >= self._most_apart:
            self._tell_apart()

    def close(self) -> list[dict[str, Any]]:
        """Write what is left.

        Returns:
            One JSON-ready description a file; empty where no row came.

        Raises:
            StoreError: the store refused.
        """
        self._tell_apart()
        for partition in list(self._partitions.values()):
            self._end_file(partition)
        return self.staged

    def discard(self) -> None:
        """Leave nothing behind: for when this was all in vain. What can't be deleted is waste, not another failure."""
        for partition in self._partitions.values():
            if partition.file is not None:
                partition.file.encoder.abandon()
                partition.file.upload.abort()
        self._partitions.clear()
        self._apart.clear()
        try:
            self._stager.discard(self.staged)
        except StoreError as error:
            paths = [file["path"] for file in self.staged]
            _log.warning("of these files, which no snapshot names, some stay behind: %s (%s)", paths, error)
        self.staged = []

    def _tell_apart(self) -> None:
        if not self._apart:
            return
        waiting, self._apart, self._apart_bytes = pa.concat_tables(self._apart), [], 0
        step = _rows_of(waiting, self._most_apart)
        for start in range(0, waiting.num_rows, step):
            whole = waiting.slice(start, step).combine_chunks()  # taking from chunks is slow
            for values, own in partition_rows(whole, self._stager.schema, self._stager.spec):
                # Copied: a slice would keep all of its batch in memory until the last partition is written.
                self._add(values, whole.take(pa.array(own)))

    def _chunk_bytes(self) -> int:
        """Arrow bytes that are handed on at one time: a row group, or a part of a small file."""
        return max(1, min(self._group, int(self._target / self._ratio)))

    def _add(self, values: tuple[str | None, ...], rows: pa.Table) -> None:
        partition = self._partitions.get(values)
        if partition is None:
            partition = self._partitions[values] = _Partition(values)
        partition.rows.append(rows)
        partition.waiting += rows.nbytes
        self._held += rows.nbytes
        if self._stager.order.fields:
            if partition.waiting >= min(self._most_sorted, int(self._target / self._ratio)):
                self._end_file(partition)
        elif partition.waiting >= self._chunk_bytes():
            self._write_group(partition)
        while self._held > self._most_held:
            self._end_file(max(self._partitions.values(), key=lambda each: each.held))

    def _write_group(self, partition: _Partition) -> None:
        """Move the rows that wait into the partition's file; end the file where it is large enough."""
        rows = sort_rows(pa.concat_tables(partition.rows).combine_chunks(), self._stager.schema, self._stager.order)
        self._held -= partition.held
        size = partition.waiting
        partition.rows, partition.waiting = [], 0
        file = partition.file or self._open()
        partition.file = file
        file.encoder.write(rows)
        file.arrow_bytes += size
        self._held += partition.held
        # Half a row group too small is as near to the target as half a row group too large.
        if file.upload.tell() + size * self._ratio / 2 >= self._target:
            self._end_file(partition)

    def _end_file(self, partition: _Partition) -> None:
        if partition.rows:
            self._write_group(partition)
        file = partition.file
        if file is not None:
            self._held -= partition.held
            partition.file = None
            self._close_file(file, partition.values)
        self._partitions.pop(partition.values, None)

    def _open(self) -> _OpenFile:
        path = join(self._stager.folder, f"{self._name}-{uuid4()}.parquet")
        upload = open_transport(self._stager.store).open_output(path)
        try:
            return _OpenFile(path, upload, Encoder(self._schema, self._stager.properties, upload))
        except BaseException:
            upload.abort()
            raise

    def _close_file(self, file: _OpenFile, values: tuple[str | None, ...]) -> None:
        with file.upload:  # aborted where something is raised
            metadata = file.encoder.close()
        size = file.upload.tell()
        ratio = size / max(1, file.arrow_bytes)
        self._ratio = self._ratio + (ratio - self._ratio) * _RATIO_WEIGHT if self.staged else ratio
        nans = file.encoder.nans.counts
        facts = describe_file(metadata, self._stager.schema, self._stager.properties, nans)
        self.staged.append(
            {
                "path": file.path,
                "rows": file.encoder.rows,
                "bytes": size,
                "partition": list(values),
                "spec_id": self._stager.spec.spec_id,
                "sort_order_id": self._stager.order.order_id,
                **facts,
            }
        )


def _target_bytes(properties: dict[str, str]) -> int:
    text = properties.get("write.target-file-size-bytes", str(_TARGET_BYTES))
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise ConfigError(
            f"The table's property write.target-file-size-bytes is {text!r}.", "it is a whole number of bytes."
        )
    return size


def _rows_of(rows: pa.Table, size: int) -> int:
    """How many of them take about `size` bytes."""
    return max(1, int(rows.num_rows * size / max(1, rows.nbytes)))
