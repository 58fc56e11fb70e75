"""Plan -> fetch -> decode -> Arrow, overlapped, in order, within a memory budget.

The consumer drives admission: each time it comes back for more, row groups are started until the
budget is full. The oldest one is always admitted, so a row group larger than the budget runs
alone and nothing can wait for itself. Fetching and decoding have threads of their own; a decoder
waits only for ranges that were queued before any younger row group's.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow_io.budget import available_cpus, default_budget
from lakeflow_io.iceberg.projection import FileProjection, OutputShape
from lakeflow_io.parquet.decode import decode_row_group, leaf_indices
from lakeflow_io.parquet.footer import Footer, read_footer
from lakeflow_io.parquet.ranges import ByteRange, coalesce, column_chunks, row_group_start
from lakeflow_io.storage import Transport, open_transport

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    import pyarrow as pa

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["output_schema", "read_batches"]

# Requests in flight. Eight hide a latency of 30 ms behind 8 MiB ranges at 80 MB/s; two times that
# leaves room for footers.
_FETCH_THREADS = 16
# Footers asked for ahead of the row groups that are being fetched.
_FOOTER_LOOKAHEAD = 16
# One footer ahead for each of these bytes of budget: a tail is 1 MiB at most, so a quarter of it.
_TAIL_SHARE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """One unit of work."""

    piece: Piece
    footer: Footer
    projection: FileProjection
    index: int
    requests: list[ByteRange]
    cost: int
    """Bytes fetched plus bytes decoded, as the footer tells them."""


def output_schema(spec: ReadSpec) -> pa.Schema:
    """The Arrow schema of a scan's batches."""
    return OutputShape.of(spec).schema


def read_batches(
    spec: ReadSpec, pieces: Sequence[Piece], *, memory: int | None = None, transport: Transport | None = None
) -> Iterator[pa.RecordBatch]:
    """Read pieces of data files as record batches, in the order of `pieces`.

    Args:
        spec: What to read of each piece.
        pieces: Parts of data files.
        memory: Bytes that may be fetched, undecoded and unconsumed at one time. What isn't decoded yet
            counts as much as its footer and its types promise: text that decodes to more is corrected
            as soon as it is decoded.
        transport: Where to read from; default the one that `spec.store` describes.

    Yields:
        Batches with `output_schema(spec)`; none is empty.

    Raises:
        DataError: a file can't be read as what metadata says it is; names the file.
        StoreError: the store failed.
    """
    pipeline = _Pipeline(spec, transport or open_transport(spec.store), memory or default_budget())
    with closing(pipeline), closing(pipeline.tables(pieces)) as tables:
        for table in tables:
            batches = deque(table.to_batches())
            del table  # what the consumer has let go of is not held here
            while batches:
                if batches[0].num_rows:
                    yield batches.popleft()
                else:
                    batches.popleft()


@dataclass(slots=True)
class _Started:
    """A row group on its way."""

    estimate: int
    future: Future[pa.Table] | None

    @property
    def cost(self) -> int:
        """Bytes it holds: as the footer promises, and as they are once it is decoded."""
        if self.future is None or not self.future.done() or self.future.cancelled() or self.future.exception():
            return self.estimate
        return int(self.future.result().nbytes)


class _Pipeline:
    """The threads of one scan."""

    def __init__(self, spec: ReadSpec, transport: Transport, budget: int) -> None:
        self._spec = spec
        self._shape = OutputShape.of(spec)
        self._transport = transport
        self._budget = budget
        self._row_bytes = sum(_fixed_width(field.type) for field in self._shape.read_schema)
        # Tails of small files are whole files: they count against nothing, so they are few.
        self._lookahead = max(1, min(_FOOTER_LOOKAHEAD, budget // _TAIL_SHARE_BYTES))
        self._fetchers = ThreadPoolExecutor(_FETCH_THREADS, "lakeflow-fetch")
        self._decoders = ThreadPoolExecutor(available_cpus(), "lakeflow-decode")

    def close(self) -> None:
        """Drop what hasn't begun, wait for what has: no thread and no request stays behind."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        self._fetchers.shutdown(wait=True)
        self._decoders.shutdown(wait=True)

    def tables(self, pieces: Sequence[Piece]) -> Generator[pa.Table]:
        """Decoded row groups, in order."""
        units = self._row_groups(pieces)
        upcoming = next(units, None)
        started: deque[_Started] = deque()
        while upcoming or started:
            # The consumer came back: it has let go of the last table, or made it its own.
            while upcoming and (not started or self._fits(started, upcoming.cost)):
                started.append(_Started(upcoming.cost, self._start(upcoming)))
                upcoming = next(units, None)
            oldest = started[0]
            assert oldest.future is not None  # noqa: S101  (only emptied when it is popped)
            table = oldest.future.result()
            # While it is being consumed it still counts, but nothing here keeps it alive.
            oldest.estimate, oldest.future = int(table.nbytes), None
            yield table
            del table
            started.popleft()

    def _fits(self, started: Iterable[_Started], cost: int) -> bool:
        return sum(each.cost for each in started) + cost <= self._budget

    def _footers(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Footer]]:
        asked: deque[tuple[Piece, Future[Footer]]] = deque()
        for piece in pieces:
            asked.append((piece, self._fetchers.submit(read_footer, self._transport, piece.path, piece.file_size)))
            if len(asked) >= self._lookahead:
                first, footer = asked.popleft()
                yield first, footer.result()
        for first, footer in asked:
            yield first, footer.result()

    def _row_groups(self, pieces: Sequence[Piece]) -> Iterator[_RowGroup]:
        for piece, footer in self._footers(pieces):
            projection = FileProjection.of(self._spec, piece, footer, self._shape.read_schema)
            leaves = leaf_indices(footer.metadata, projection.columns)
            for index in range(footer.metadata.num_row_groups):
                group = footer.metadata.row_group(index)
                if piece.start <= row_group_start(group) < piece.end:
                    chunks = column_chunks(group, leaves)
                    cost = sum(chunk.length for chunk in chunks) + self._decoded_size(group, leaves)
                    yield _RowGroup(piece, footer, projection, index, coalesce(chunks), cost)

    def _decoded_size(self, group: Any, leaves: Sequence[int]) -> int:
        """Bytes that a row group decodes to, at least: encodings make a footer's own figure too small."""
        encoded = sum(group.column(leaf).total_uncompressed_size for leaf in leaves)
        return max(encoded, group.num_rows * self._row_bytes)

    def _start(self, unit: _RowGroup) -> Future[pa.Table]:
        parts: list[tuple[ByteRange, Any]] = []
        for request in unit.requests:
            in_tail = request.start - unit.footer.tail_start
            if in_tail >= 0:
                parts.append((request, unit.footer.tail[in_tail : in_tail + request.length]))
            else:
                fetch = self._fetchers.submit(self._transport.get_range, unit.piece.path, request.start, request.length)
                parts.append((request, fetch))
        return self._decoders.submit(self._decode, unit, parts)

    def _decode(self, unit: _RowGroup, parts: list[tuple[ByteRange, Any]]) -> pa.Table:
        fetched = [(where, part.result() if isinstance(part, Future) else part) for where, part in parts]
        columns = unit.projection.columns
        raw = decode_row_group(unit.footer, unit.index, columns, fetched, unit.piece.file_size)
        return self._shape.finish(unit.projection.apply(raw))


def _fixed_width(kind: pa.DataType) -> int:
    """Bytes of one value; of text and lists, their offset alone."""
    try:
        return max(1, kind.bit_width // 8)
    except ValueError:  # variable width
        return 4
