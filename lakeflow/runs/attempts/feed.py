"""What a function is called with: a shard's rows as the frame it wants, whole or batch by batch; or an item."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.runs.work import Item
from lakeflow_engines.frames import from_arrow
from lakeflow_io.errors import InternalError, LakeflowError
from lakeflow_io.iceberg.shards import Shard
from lakeflow_io.reader import Counters, output_schema, read_batches

if TYPE_CHECKING:
    from collections.abc import Generator

    from lakeflow.runs.attempts.deadline import Deadline
    from lakeflow.runs.attempts.measured import Stopwatch
    from lakeflow.runs.work import Work

__all__ = ["Feed"]


class Feed:
    """One attempt's input.

    Args:
        work: A shard or an item.
        kind: The frame that the function's first parameter wants.
        memory: Bytes that may be fetched, undecoded and unconsumed; None for the usual.
        deadline: Not raised in the middle of reading.
        watch: Where reading is counted as such.
    """

    def __init__(self, work: Work, kind: str, memory: int | None, deadline: Deadline, watch: Stopwatch) -> None:
        self._work, self._kind, self._memory = work, kind, memory
        self._deadline, self._watch = deadline, watch
        self._counters = Counters()
        self._batches: Generator[pa.RecordBatch] | None = None
        self.error: LakeflowError | None = None
        """What went wrong while the function read: whatever it made of that."""

    def argument(self) -> Any:
        """The function's first argument.

        Raises:
            DataError, StoreError: the rows can't be read.
        """
        if isinstance(self._work, Item):
            return self._work.value
        if not isinstance(self._work, Shard):
            raise InternalError(f"{type(self._work).__name__} is no work that can be read.")
        self._batches = read_batches(self._work.spec, self._work.pieces, memory=self._memory, counters=self._counters)
        schema = output_schema(self._work.spec)
        if self._kind == "batches":
            return self._read()
        if self._kind == "reader":
            return pa.RecordBatchReader.from_batches(schema, self._read())
        with self._deadline.masked(), self._watch.timed("read"):
            table = pa.Table.from_batches(self._batches, schema)
        return from_arrow(table, self._kind)

    @property
    def rows(self) -> int:
        """That the function was given; of an item one."""
        return 1 if isinstance(self._work, Item) else self._counters.rows

    @property
    def scan(self) -> dict[str, Any]:
        """The numbers of the `ScanReport` that markers have; waits in seconds."""
        report = self._counters.report()
        return {
            "requests": report.requests,
            "bytes_wanted": report.bytes_wanted,
            "bytes_fetched": report.bytes_fetched,
            "retries": report.retries,
            "wait_network": round(report.network_wait, 4),
            "wait_cpu": round(report.cpu_wait, 4),
            "first_byte_p50": round(report.first_byte_p50, 4),
            "first_byte_p99": round(report.first_byte_p99, 4),
        }

    def close(self) -> None:
        """Stop reading: a function may have left rows unread."""
        if self._batches is not None:
            with suppress(ValueError):  # another thread of the function's is reading right now
                self._batches.close()

    def _read(self) -> Generator[pa.RecordBatch]:
        batches = self._batches
        assert batches is not None  # noqa: S101  (made before)
        while True:
            with self._deadline.masked(), self._watch.timed("read"):
                try:
                    batch = next(batches, None)
                except LakeflowError as error:
                    self.error = error
                    raise
            if batch is None:
                return
            yield batch
