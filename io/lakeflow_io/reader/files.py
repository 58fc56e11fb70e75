"""Pieces -> open files -> units to read: footers are remembered or fetched ahead, row groups judged by statistics."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from lakeflow_io.errors import DataError
from lakeflow_io.iceberg.projection import FileProjection
from lakeflow_io.iceberg.row_groups import RowGroupFilter
from lakeflow_io.parquet.footer import Footer, footer_range, parse_footer, tail_range
from lakeflow_io.parquet.layout import FileLayout, Layouts
from lakeflow_io.parquet.ranges import ByteRange
from lakeflow_io.reader.located import located
from lakeflow_io.reader.unit import OpenFile, Unit, fixed_width, pack, wanted_row_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.iceberg.projection import OutputShape
    from lakeflow_io.reader.fetch import Fetcher
    from lakeflow_io.reader.report import Counters
    from lakeflow_io.storage.immutable import ImmutableCache

__all__ = ["Files"]

# Files whose footers are asked for ahead of the row groups that are being read.
_MOST_AHEAD = 256
# Footers go first: nothing of a file can be asked for without its own.
_FIRST = -1
_NOTHING = ByteRange(0, 0)


class _Ahead:
    """A file whose tail was asked for, or whose footer is known from an earlier scan."""

    __slots__ = ("footer", "known", "piece", "tail")

    def __init__(self, piece: Piece, tail: ByteRange, known: bytes | None) -> None:
        self.piece = piece
        self.tail = tail
        self.known = known
        self.footer: Footer | BaseException | None = None


class Files:
    """The units of a scan, in order, as fast as footers come.

    Args:
        spec: What is read.
        shape: What comes out.
        pieces: Parts of data files.
        fetcher: Where tails are asked for.
        cache: Where footers are remembered; None where files may be written again under their names.
        tail_budget: Bytes of tails that may be there ahead of the units they belong to.
        unit_cost: Bytes above which row groups aren't read together.
        counters: Where files, row groups and bytes are counted.
        wake: Called when a footer has come.
    """

    def __init__(
        self,
        spec: ReadSpec,
        shape: OutputShape,
        pieces: Sequence[Piece],
        *,
        fetcher: Fetcher,
        cache: ImmutableCache | None,
        tail_budget: int,
        unit_cost: int,
        counters: Counters,
        wake: Callable[[], None],
    ) -> None:
        self._spec, self._shape, self._fetcher, self._counters, self._wake = spec, shape, fetcher, counters, wake
        self._row_bytes = sum(fixed_width(field.type) for field in shape.read_schema)
        self._filter = RowGroupFilter.of(spec)
        self._layouts = Layouts()
        self._projections: dict[tuple[int, tuple[int, ...]], tuple[FileLayout, FileProjection]] = {}
        self._cache = cache
        self._trusted: set[tuple[str, int]] = set()
        self._left = deque(pieces)
        # Footers known of the first of these, as many as have been looked up.
        self._known: deque[bytes | None] = deque()
        self._ahead: deque[_Ahead] = deque()
        self._ahead_bytes, self._tail_budget, self._unit_cost = 0, tail_budget, unit_cost
        self._units: Iterator[Unit] = iter(())
        self._path = ""
        # Footers speak of all columns; until one has, those that are read are all that is known.
        self._columns = len(shape.read_schema)

    @property
    def exhausted(self) -> bool:
        """Whether all files have been opened; the last one's units may still come."""
        return not self._left and not self._ahead

    def next_unit(self) -> Unit | None:
        """The next unit; None where its file's footer hasn't come yet, or there is none left.

        Raises:
            DataError, StoreError: a footer couldn't be fetched or decoded.
        """
        while True:
            try:
                unit = next(self._units, None)
            except Exception as error:  # noqa: BLE001  (the file is named, whatever it was)
                raise located(error, f"the footer of {self._path}") from error.__cause__
            if unit is not None:
                return unit
            self._ask_ahead()
            if self._ahead and self._ahead[0].known is not None:
                self._recall(self._ahead[0])
            if not self._ahead or self._ahead[0].footer is None:
                return None
            file = self._ahead.popleft()
            self._ahead_bytes -= file.tail.length
            self._path = file.piece.path
            if isinstance(file.footer, BaseException):
                raise file.footer
            assert file.footer is not None  # noqa: S101  (looked at above)
            self._units = self._open(file.piece, file.footer)

    def distrust(self) -> None:
        """Forget the footers that were known: a file may have been replaced after all."""
        if self._cache is not None and self._trusted:
            self._cache.forget(self._trusted)

    def close(self) -> None:
        """Let go of what was fetched; remember its footers."""
        if self._cache is not None:
            self._cache.save()
        self._left.clear()
        self._ahead.clear()
        self._units = iter(())

    def _ask_ahead(self) -> None:
        while self._left and len(self._ahead) < _MOST_AHEAD:
            piece, known = self._left[0], self._next_known()
            tail = tail_range(piece.file_size, len(piece.splits), self._columns) if known is None else _NOTHING
            if self._ahead and self._ahead_bytes + tail.length > self._tail_budget:
                return
            self._left.popleft()
            self._known.popleft()
            self._ahead_bytes += tail.length
            file = _Ahead(piece, tail, known)
            self._ahead.append(file)
            if known is None:
                self._fetch_tail(file, tail)

    def _next_known(self) -> bytes | None:
        """The remembered footer of the next file, looked up together with those behind it."""
        if not self._known:
            pieces = list(islice(self._left, _MOST_AHEAD))
            if self._cache is None:
                self._known.extend(None for _ in pieces)
            else:
                self._cache.save(enough=True)
                self._known.extend(self._cache.find([(piece.path, piece.file_size) for piece in pieces]))
        return self._known[0]

    def _recall(self, file: _Ahead) -> None:
        """Decode a remembered footer; one that doesn't decode is fetched."""
        assert file.known is not None  # noqa: S101  (looked at before)
        assert self._cache is not None  # noqa: S101  (it is what knew)
        uri, size = file.piece.path, file.piece.file_size
        known, file.known = memoryview(file.known), None
        try:
            file.footer = replace(parse_footer(uri, size, size - len(known), known), tail_start=size, tail=known[:0])
            self._trusted.add((uri, size))
            self._counters.footers_known += 1
        except DataError:
            self._cache.forget([(uri, size)])
            file.tail = tail_range(size, len(file.piece.splits), self._columns)
            self._ahead_bytes += file.tail.length
            self._fetch_tail(file, file.tail)

    def _fetch_tail(self, file: _Ahead, tail: ByteRange) -> None:
        uri, size = file.piece.path, file.piece.file_size

        def came(got: list[memoryview] | BaseException) -> None:
            if isinstance(got, BaseException):
                file.footer = got
            else:
                try:
                    start = footer_range(uri, size, got[0]).start
                    if start < tail.start:  # larger than was thought
                        self._fetch_tail(file, ByteRange(start, size - start))
                        return
                    file.footer = parse_footer(uri, size, tail.start, got[0])
                    if self._cache is not None:
                        self._cache.keep(uri, size, bytes(got[0][start - tail.start :]))
                except Exception as error:  # noqa: BLE001  (the consumer's thread raises it)
                    file.footer = located(error, f"bytes {tail.start}-{size} of {uri}")
            self._wake()

        if tail.length == 0:
            came([memoryview(b"")])
            return
        self._counters.bytes_wanted += tail.length
        self._fetcher.fetch(_FIRST, uri, [tail], came)

    def _open(self, piece: Piece, footer: Footer) -> Iterator[Unit]:
        """Lazily: what is wrong with a file is found when its first unit is asked for."""
        self._counters.files += 1
        self._columns = max(self._columns, footer.metadata.num_columns)
        layout, projection = self._match(piece, footer)
        file = OpenFile(piece, footer, layout, projection, dict(piece.constants))
        judged = None
        if self._filter is not None:
            judged = self._filter.file(projection.present, footer.metadata, file.constants)
        columns = projection.fetched(self._shape.names)
        groups = wanted_row_groups(file, columns, self._row_bytes, judged, self._counters)
        yield from pack(file, groups, self._unit_cost)

    def _match(self, piece: Piece, footer: Footer) -> tuple[FileLayout, FileProjection]:
        layout = self._layouts.of(footer)
        # The layout is kept beside its projection, so that its id stays its own.
        key = id(layout), tuple(field_id for field_id, _ in piece.constants)
        if key not in self._projections:
            made = FileProjection.of(self._spec, piece, layout, self._shape.read_schema)
            if footer.schema_bytes is None:
                return layout, made
            self._projections[key] = layout, made
        return self._projections[key]
