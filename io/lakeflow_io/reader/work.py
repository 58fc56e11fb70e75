"""One unit on its way: its bytes are fetched, decoded, shaped and filtered, off the consumer's thread.

With a filter, its own columns may be read first and the rest only of row groups in which a row
passed ("late materialisation": Abadi et al. 2007, "Materialization Strategies in a
Column-Oriented DBMS"). That pays where statistics told nothing and few row groups have a match;
it costs a round trip where they do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.budget import available_cpus
from lakeflow_io.errors import CorruptFileError
from lakeflow_io.parquet.ranges import MAX_REQUEST_BYTES, FetchedRanges, coalesce
from lakeflow_io.reader.located import located

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow_io.iceberg.deletes.apply import FileDeletes
    from lakeflow_io.iceberg.projection import OutputShape
    from lakeflow_io.reader.decoders import Decoders
    from lakeflow_io.reader.fetch import Fetcher
    from lakeflow_io.reader.held import Held
    from lakeflow_io.reader.report import Counters
    from lakeflow_io.reader.unit import RowGroup, Unit

__all__ = ["Scanning", "Work"]

# A unit that decodes to more is decoded column by column on all cores.
_SHARED_BYTES = 32 * 1024 * 1024
# Bytes in flight are spread over about this many requests, none of them so small that its latency
# (30 ms) takes much longer than its bytes (13 ms at 80 MB/s).
_SPREAD, _LEAST_REQUEST_BYTES = 8, 1024 * 1024
# Late materialisation: not for less than this, and not after this many row groups of which fewer
# than the given share could be skipped.
_LATE_BYTES, _LATE_TRIES, _LATE_SHARE = 256 * 1024, 8, 0.25
# Where statistics leave out half of the row groups, the others are likely to have matches.
_USEFUL_STATISTICS = 0.5

_Tables = dict[int, dict[str, pa.ChunkedArray]]


@dataclass(slots=True)
class Scanning:
    """What all units of a scan share."""

    shape: OutputShape
    fetcher: Fetcher
    decoders: Decoders
    counters: Counters
    held: Held
    wake: Callable[[], None]
    in_flight: int = 0
    """Bytes that were asked for and haven't come."""
    late_tries: int = 0
    late_skips: int = 0
    lock: Lock = field(default_factory=Lock)

    def begin(self, size: int) -> int:
        """Count bytes that are asked for; tells how large one request may be.

        While little is in flight, connections are idle: what there is, is spread over more of them.
        """
        with self.lock:
            self.in_flight += size
            return max(_LEAST_REQUEST_BYTES, min(MAX_REQUEST_BYTES, self.in_flight // _SPREAD))

    def end(self, size: int) -> None:
        """They have come."""
        with self.lock:
            self.in_flight -= size

    def reads_late(self, unit: Unit, rest: tuple[str, ...]) -> bool:
        """Whether to read the filter's columns first and `rest` only where rows pass."""
        if self.shape.condition is None or not rest or all(group.passes for group in unit.groups):
            return False
        if not unit.file.access.fetches_columns:
            return False
        seen, pruned = self.counters.row_groups, self.counters.row_groups_pruned
        if pruned >= seen * _USEFUL_STATISTICS:
            return False
        if self.late_tries >= _LATE_TRIES and self.late_skips < self.late_tries * _LATE_SHARE:
            return False
        leaves = unit.file.access.leaves(rest)
        spared = sum(group.chunks[leaf].length for group in unit.groups for leaf in leaves)
        return spared >= _LATE_BYTES


class Work:
    """A unit's result, some time.

    Attributes:
        cost: Bytes that it holds: fetched ones, from its decoding on also what its footer and the units before it
            promise, and as they are once it is decoded.
        fetched: Whether all its bytes have come.
        tables: The row groups that have rows, in order; None while it is being worked on.
        error: What went wrong.
    """

    def __init__(self, order: int, unit: Unit, scanning: Scanning) -> None:
        self.cost = unit.held + unit.closes
        self.fetched = False
        self.tables: list[pa.Table] | None = None
        self.error: BaseException | None = None
        self._order, self._unit, self._scanning = order, unit, scanning
        rows = unit.groups[0].index, unit.groups[-1].index
        named = f"row groups {rows[0]}-{rows[1]}" if rows[0] < rows[1] else f"row group {rows[0]}"
        self._where = f"{named} of {unit.file.piece.path}"
        self._shaped: _Tables = {group.index: {} for group in unit.groups}
        self._passing: dict[int, pa.Array | None] = {}

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self.tables is not None or self.error is not None

    def start(self) -> None:
        """Ask for the bytes."""
        file = self._unit.file
        rest = tuple(name for name in file.names if name not in file.looked_at)
        if self._scanning.reads_late(self._unit, file.projection.fetched(rest)):
            self._read(self._unit.groups, file.looked_at, lambda: self._read_rest(rest))
        else:
            self._read(self._unit.groups, file.names, self._finish)

    def _read(self, groups: Sequence[RowGroup], names: tuple[str, ...], then: Callable[[], None]) -> None:
        """Fetch and decode the table's columns `names` of `groups`, then go on."""
        file = self._unit.file
        leaves = file.access.leaves(file.projection.fetched(names))
        chunks = [group.chunks[leaf] for group in groups for leaf in leaves]
        there, uri = file.there, file.piece.path
        missing = [where for where in chunks if where.length and not there.covers(where.start, where.length)]
        if not missing:
            self._decode_in_turn(groups, names, there, then)
            return
        wanted = sum(where.length for where in missing)
        self._scanning.counters.bytes_wanted += wanted
        requests = coalesce(missing, self._scanning.begin(wanted))

        def came(got: list[memoryview] | BaseException) -> None:
            self._scanning.end(wanted)
            if isinstance(got, BaseException):
                self._fail(got)
                return
            try:
                parts = [*there.parts, *zip(requests, got, strict=True)]
                self._decode_in_turn(groups, names, FetchedRanges(uri, parts), then)
            except BaseException as error:  # noqa: BLE001  (the consumer's thread raises it)
                self._fail(located(error, self._where))

        self._scanning.fetcher.fetch(self._order, uri, requests, came)

    def _decode_in_turn(
        self, groups: Sequence[RowGroup], names: tuple[str, ...], fetched: FetchedRanges, then: Callable[[], None]
    ) -> None:
        """Decode once the budget allows it."""
        self.fetched = True

        def begin(room: int) -> None:
            self.cost += room
            self._decode(groups, names, fetched, then)

        self._scanning.held.decode(self._order, begin)

    def _decode(
        self, groups: Sequence[RowGroup], names: tuple[str, ...], fetched: FetchedRanges, then: Callable[[], None]
    ) -> None:
        """Decode on one core, or on all where there is enough to do; the last one to end goes on."""
        is_shared = self.cost > _SHARED_BYTES and self._unit.file.access.decodes_columns
        shares = min(available_cpus(), len(names)) if is_shared else 1
        missing = [shares]

        def part(own: tuple[str, ...]) -> None:
            began, last = time.thread_time(), False
            try:
                for group in groups:
                    self._shaped[group.index].update(self._shape(group, own, fetched))
                with self._scanning.lock:
                    missing[0] -= 1
                    last = missing[0] == 0
                if last and self.error is None:
                    then()
            except BaseException as error:  # noqa: BLE001  (the consumer's thread raises it)
                self._fail(located(error, self._where))
            finally:
                with self._scanning.lock:
                    self._scanning.counters.decode_cpu += time.thread_time() - began
                if last:
                    self._scanning.held.rest()

        for share in range(shares):
            self._scanning.decoders.submit(partial(part, names[share::shares]))

    def _shape(self, group: RowGroup, names: tuple[str, ...], fetched: FetchedRanges) -> dict[str, pa.ChunkedArray]:
        file = self._unit.file
        decoded = file.access.decode(group, file.projection.fetched(names), fetched)
        for name, column in decoded.items():
            if len(column) != group.rows:
                raise CorruptFileError(
                    f"{file.piece.path}: column {name!r} of row group {group.index} has {len(column)} rows, "
                    f"not {group.rows} as its footer says.",
                    "the file is damaged; restore it or roll the table back to a snapshot without it.",
                )
        return file.projection.shape(file.piece.path, names, decoded, group.rows, file.constants)

    def _read_rest(self, rest: tuple[str, ...]) -> None:
        """Read the columns that the filter doesn't need, of row groups in which a row passed it."""
        left = [group for group in self._unit.groups if self._passes(group)]
        skipped = len(self._unit.groups) - len(left)
        with self._scanning.lock:
            self._scanning.late_tries += len(self._unit.groups)
            self._scanning.late_skips += skipped
            self._scanning.counters.row_groups_skipped += skipped
        for group in self._unit.groups:
            if group not in left:
                del self._shaped[group.index]
        self._unit.groups = left
        if left:
            self.fetched = False
            self._read(left, rest, self._finish)
        else:
            self._finish()

    def _passes(self, group: RowGroup) -> bool:
        """Find the rows that pass the filter and aren't deleted; tell whether there is one."""
        shape, columns, rows = self._scanning.shape, self._shaped[group.index], None
        if shape.condition is not None and not group.passes:
            rows = shape.passing(pa.table({name: columns[name] for name in shape.filter_columns}))
        if self._unit.file.deletes is not None:
            rows = self._undeleted(self._unit.file.deletes, group, rows, columns)
        self._passing[group.index] = rows
        return group.rows > 0 if rows is None else len(rows) > 0

    def _undeleted(
        self, deletes: FileDeletes, group: RowGroup, passing: pa.Array | None, columns: dict[str, pa.ChunkedArray]
    ) -> pa.Array | None:
        """Of the rows that pass the filter, those that aren't deleted; None for all of the row group."""
        left = deletes.surviving(group.first, group.rows, passing, columns)
        if left is not None:
            before = group.rows if passing is None else len(passing)
            with self._scanning.lock:
                self._scanning.counters.deletes_applied += before - len(left)
        return left

    def _finish(self) -> None:
        """Put row groups together, without the rows that don't pass and the columns that only the filter needed."""
        tables, decoded = [], 0
        schema = self._scanning.shape.schema
        for group in self._unit.groups:
            if group.index not in self._passing and not self._passes(group):
                continue
            rows = self._passing[group.index]
            columns = self._shaped.pop(group.index)
            # Not `nbytes`, which looks at every offset, and takes ten times as long.
            decoded += sum(column.get_total_buffer_size() for column in columns.values())
            table = pa.table([columns[name] for name in schema.names], schema=schema)
            tables.append(table if rows is None else table.take(rows))
        # The unit holds what came with its file's footer.
        promised = self._unit.promised
        self._shaped, self._passing = {}, {}
        del self._unit
        before, self.cost = self.cost, sum(table.get_total_buffer_size() for table in tables)
        self._scanning.held.decoded(promised, decoded, self.cost - before)
        self.tables = tables
        self._scanning.wake()

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self._scanning.wake()
