"""One pass over a scan: what is admitted when, and what the consumer gets.

The consumer's thread admits units as long as the budget lasts, the oldest one always: a row group
larger than the budget runs alone, and nothing can wait for itself. Fetching and decoding have
threads of their own; a unit is decoded when its bytes have come, so no decoder waits for the network.
"""

from __future__ import annotations

import atexit
import time
from collections import deque
from contextlib import closing
from threading import Event, Thread, current_thread
from typing import TYPE_CHECKING
from weakref import WeakSet

from lakeflow_io.budget import available_cpus, default_budget
from lakeflow_io.errors import DataError
from lakeflow_io.iceberg.projection import OutputShape
from lakeflow_io.reader.decoders import Decoders
from lakeflow_io.reader.deletions import Deletions
from lakeflow_io.reader.fetch import Fetcher
from lakeflow_io.reader.files import Files
from lakeflow_io.reader.footers import Footers
from lakeflow_io.reader.held import Held
from lakeflow_io.reader.located import located
from lakeflow_io.reader.remembered import Remembered
from lakeflow_io.reader.report import Counters
from lakeflow_io.reader.work import Scanning, Work
from lakeflow_io.storage import Transport, open_transport
from lakeflow_io.storage.immutable import ImmutableCache

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import pyarrow as pa

    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.reader.unit import Unit

__all__ = ["output_schema", "read_batches"]

# Of the budget: what footers may take that are fetched ahead, and one unit at most.
_TAIL_SHARE, _UNIT_SHARE = 4, 16
# Units under way: each takes some kilobytes of Python's own.
_MOST_STARTED = 1024
# Of the bytes that the link takes at one time: as much again waits for decoders.
_AHEAD_FACTOR = 2
_FETCH, _DECODE = "lakeflow-fetch", "lakeflow-decode"


def output_schema(spec: ReadSpec) -> pa.Schema:
    """The Arrow schema of a scan's batches."""
    return OutputShape.of(spec).schema


def read_batches(
    spec: ReadSpec,
    pieces: Sequence[Piece],
    *,
    memory: int | None = None,
    transport: Transport | None = None,
    counters: Counters | None = None,
) -> Generator[pa.RecordBatch]:
    """Read pieces of data files as record batches, in the order of `pieces`.

    Args:
        spec: What to read of each piece.
        pieces: Parts of data files.
        memory: Bytes that may be fetched, undecoded and unconsumed at one time. What isn't decoded yet
            counts as much as its footer and its types promise: text that decodes to more is corrected
            as soon as it is decoded.
        transport: Where to read from; default the one that `spec.store` describes.
        counters: Where the scan is counted, for a `ScanReport`.

    Yields:
        Batches with `output_schema(spec)`; none is empty.

    Raises:
        DataError: a file can't be read as what metadata says it is; names the file.
        StoreError: the store failed.
    """
    counters = counters or Counters()
    pipeline = _Pipeline(spec, pieces, transport or open_transport(spec.store), memory or default_budget(), counters)
    with closing(pipeline), closing(pipeline.tables()) as tables:
        for table in tables:
            batches = deque(table.to_batches())
            del table  # what the consumer has let go of is not held here
            while batches:
                if batches[0].num_rows:
                    counters.rows += batches[0].num_rows
                    yield batches.popleft()
                else:
                    batches.popleft()


class _Pipeline:
    """The threads and the budget of one pass."""

    def __init__(
        self, spec: ReadSpec, pieces: Sequence[Piece], transport: Transport, budget: int, counters: Counters
    ) -> None:
        shape, pieces = OutputShape.of(spec), list(pieces)  # a table's are made each time they are gone through
        tails = budget // _TAIL_SHARE
        self._spec, self._counters = spec, counters
        # A scan with a limit is several passes, the careful ones with less than it may have.
        counters.budget_bytes = max(counters.budget_bytes, budget)
        self._event = Event()
        self._order = 0
        self._upcoming: Unit | None = None
        self._started: deque[Work] = deque()
        self._fetcher = Fetcher(transport, counters, _FETCH)
        self._decoders = Decoders(available_cpus())
        self._held = Held(budget - tails, available_cpus(), lambda: _AHEAD_FACTOR * self._fetcher.window, counters)
        self._scanning = Scanning(shape, self._fetcher, self._decoders, counters, self._held, self._event.set)
        try:
            deletions = self._deletions = Deletions(
                spec,
                pieces,
                remembered=Remembered(self._fetcher, _cache("delete", spec), counters),
                decoders=self._decoders,
                held=self._held,
                counters=counters,
                wake=self._event.set,
            )
            self._footers = Footers(
                spec,
                pieces,
                columns=len(shape.read_schema),
                fetcher=self._fetcher,
                deletions=deletions,
                cache=_cache("footer", spec),
                budget=tails,
                idle=lambda: not self._started,
                counters=counters,
                wake=self._event.set,
            )
            self._files = Files(spec, shape, self._footers, unit_cost=budget // _UNIT_SHARE, counters=counters)
        except BaseException:
            self._fetcher.close()
            raise
        _open.add(self)

    def close(self) -> None:
        """Drop what hasn't begun, wait for what has: no thread and no request stays behind.

        A scan that was let go of in a cycle is closed by the garbage collector, which runs in whatever
        thread allocates; in a reader's own, that can't wait for itself, another one does it.
        """
        if current_thread().name.startswith((_FETCH, _DECODE)):
            Thread(target=self._close, name="lakeflow-close").start()
        else:
            self._close()

    def _close(self) -> None:
        self._fetcher.close()
        self._decoders.close()
        # An error's traceback has frames that know this object: it may be kept, what was read may not.
        self._started.clear()
        self._upcoming = None
        self._files.close()
        self._footers.close()
        self._deletions.close()
        self._held.close()
        self._counters.ended = time.perf_counter()

    def tables(self) -> Generator[pa.Table]:
        """Decoded row groups, in order.

        Raises:
            LakeflowError: whatever went wrong, in whatever thread; it says of which table and snapshot.
        """
        try:
            yield from self._tables()
        except Exception as error:  # noqa: BLE001  (one place makes all of them ours)
            if isinstance(error, DataError):
                self._footers.distrust()
                self._deletions.distrust()
            failure = located(error, f"for {self._spec.source}")
        else:
            return
        # Raised out here, the first one isn't its context: whoever keeps the error keeps none of the bytes.
        raise failure

    def _tables(self) -> Generator[pa.Table]:
        while True:
            self._event.clear()
            self._admit()
            if self._started and self._started[0].done:
                yield from self._hand_out(self._started[0])
                self._held.consumed(self._started.popleft().cost)
            elif self._started or not self._files.exhausted:
                self._wait()
            else:
                return

    def _admit(self) -> None:
        """Start units until the budget is full or a footer is missing."""
        while len(self._started) < _MOST_STARTED:
            if self._upcoming is None:
                self._upcoming = self._files.next_unit()
            unit = self._upcoming
            if unit is None:
                return
            held = unit.held + unit.opens
            if not self._held.admit(self._order, held, unit.promised, anyway=not self._started):
                return
            work = Work(self._order, unit, self._scanning)
            self._order += 1
            self._started.append(work)
            self._upcoming = None
            work.start()

    def _hand_out(self, work: Work) -> Generator[pa.Table]:
        if work.error is not None:
            raise work.error
        # While they are being consumed they still count, but nothing here keeps them alive.
        tables, work.tables = deque(work.tables or ()), []
        while tables:
            began = time.perf_counter()
            yield tables.popleft()
            self._counters.consumer += time.perf_counter() - began
            if tables:
                self._admit()

    def _wait(self) -> None:
        began = time.perf_counter()
        oldest = self._started[0] if self._started else None
        decoding = oldest is not None and oldest.fetched
        self._event.wait()
        passed = time.perf_counter() - began
        if decoding:
            self._counters.cpu_wait += passed
        else:
            self._counters.network_wait += passed


def _cache(kind: str, spec: ReadSpec) -> ImmutableCache | None:
    """What is remembered of a table's files; a folder's may be written again under their names."""
    return ImmutableCache(kind, spec.store) if spec.match == "id" else None


_open: WeakSet[_Pipeline] = WeakSet()


@atexit.register
def _close_all() -> None:
    """End scans that nobody ended: at exit daemon threads stop wherever they are, and waiting for one never ends."""
    for each in list(_open):
        each.close()
