"""The footers of a scan's files, in order: remembered from earlier scans, or fetched ahead.

What a first file is expected to be needed of comes along with its footer: without that, a scan begins
with a round trip in which nothing but footers moves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from lakeflow_io.errors import DataError
from lakeflow_io.formats import format_of
from lakeflow_io.iceberg.expected import expected_ranges
from lakeflow_io.parquet.footer import Footer, footer_range, parse_footer, tail_range
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges
from lakeflow_io.reader.located import located

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow_io.formats import Contents
    from lakeflow_io.iceberg.deletes.apply import FileDeletes
    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.reader.deletions import Deletions
    from lakeflow_io.reader.fetch import Fetcher
    from lakeflow_io.reader.report import Counters
    from lakeflow_io.storage.immutable import ImmutableCache

__all__ = ["Footers", "Opened"]

# Files whose footers are asked for ahead of the row groups that are being read.
_MOST_AHEAD = 256
# Footers go first: nothing of a file can be asked for without its own.
_FIRST = -1
# Bytes asked for before any footer has come: what 5 Gbit/s bring in a round trip of 50 ms.
_MOST_EXPECTED_BYTES = 32 * 1024 * 1024
_EXPECTED_SHARE = 4  # of the budget


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose footer has come, or whatever a file of its format is opened with."""

    piece: Piece
    footer: Footer | Contents
    there: FetchedRanges
    """What came with it."""
    deletes: FileDeletes | None = None
    """Its row-level deletes; None where it has none."""


class _Ahead:
    """A file that was asked for, or whose footer is known."""

    __slots__ = ("bytes", "known", "opened", "piece")

    def __init__(self, piece: Piece, known: bytes | None) -> None:
        self.piece = piece
        self.known = known
        self.bytes = 0
        self.opened: Opened | BaseException | None = None


class Footers:
    """Footers, as fast as they come.

    Args:
        spec: What is read.
        pieces: Parts of data files.
        columns: Leaf columns that files have at least.
        fetcher: Where tails are asked for.
        deletions: The files' deletes, which are asked for together with their footers.
        cache: Where footers are remembered; None where files may be written again under their names.
        budget: Bytes that may be there ahead of the units they belong to; a file that takes more to be opened
            waits until nothing else is held.
        idle: Whether nothing is held.
        counters: Where bytes and known footers are counted.
        wake: Called when a footer has come.
    """

    def __init__(
        self,
        spec: ReadSpec,
        pieces: Sequence[Piece],
        *,
        columns: int,
        fetcher: Fetcher,
        deletions: Deletions,
        cache: ImmutableCache | None,
        budget: int,
        idle: Callable[[], bool],
        counters: Counters,
        wake: Callable[[], None],
    ) -> None:
        self._spec, self._fetcher, self._cache, self._counters, self._wake = spec, fetcher, cache, counters, wake
        self._deletions, self._idle = deletions, idle
        self._left = deque(pieces)
        # What is known of the first of these, as many as have been looked up.
        self._known: deque[bytes | None] = deque()
        self._trusted: set[tuple[str, int]] = set()
        self._ahead: deque[_Ahead] = deque()
        self._ahead_bytes, self._budget = 0, budget
        self._expected_left = min(_MOST_EXPECTED_BYTES, budget // _EXPECTED_SHARE)
        self._schemas: dict[bytes, int] = {}
        # Footers speak of all columns; until one has, those that are read are all that is known.
        self._columns = columns

    @property
    def exhausted(self) -> bool:
        """Whether there is none left."""
        return not self._left and not self._ahead

    def next(self) -> Opened | None:
        """The next file; None where its footer or its deletes haven't come yet, or there is none left.

        Raises:
            DataError, StoreError: a footer or a delete file couldn't be fetched or decoded.
        """
        self._ask_ahead()
        if not self._ahead:
            return None
        file = self._ahead[0]
        if file.known is not None:
            self._recall(file)
        if file.opened is None:
            return None
        if isinstance(file.opened, BaseException):
            raise file.opened
        if file.piece.deletes and file.opened.deletes is None:
            deletes = self._deletions.of(file.piece)
            if deletes is None:
                return None
            file.opened = replace(file.opened, deletes=deletes)
        self._ahead.popleft()
        self._ahead_bytes -= file.bytes
        if isinstance(file.opened.footer, Footer):
            self._columns = max(self._columns, file.opened.footer.columns)
        self._expected_left = 0
        return file.opened

    def distrust(self) -> None:
        """Forget the footers that were known: a file may have been replaced after all."""
        if self._cache is not None and self._trusted:
            self._cache.forget(self._trusted)

    def close(self) -> None:
        """Let go of what was fetched; remember the footers."""
        if self._cache is not None:
            self._cache.save()
        self._left.clear()
        self._ahead.clear()

    def _ask_ahead(self) -> None:
        while self._left and len(self._ahead) < _MOST_AHEAD:
            file = _Ahead(self._left[0], self._next_known())
            asked = self._ranges(file.piece) if file.known is None else []
            size = sum(each.length for each in asked)
            if self._ahead_bytes + size > self._budget and (self._ahead or not self._idle()):
                return
            self._left.popleft()
            self._known.popleft()
            self._ahead.append(file)
            if file.known is None:
                self._fetch(file, asked)
            if file.piece.deletes:
                size = self._deletions.ask(file.piece)
                file.bytes += size
                self._ahead_bytes += size

    def _next_known(self) -> bytes | None:
        """The known footer of the next file, looked up together with those behind it."""
        if not self._known:
            pieces = list(islice(self._left, _MOST_AHEAD))
            if self._cache is None:
                self._known.extend(piece.footer or None for piece in pieces)
            else:
                self._cache.save(enough=True)
                self._known.extend(self._cache.find([(piece.path, piece.file_size) for piece in pieces]))
        return self._known[0]

    def _ranges(self, piece: Piece) -> list[ByteRange]:
        """The tail, and behind it what is expected to be needed."""
        if piece.format != "PARQUET":
            return format_of(piece.format).first_ranges(piece.file_size)
        # A part of a file has a part of its row groups; the footer has all of them.
        row_groups = len(piece.splits) * piece.file_size // max(1, piece.bytes)
        tail = tail_range(piece.file_size, row_groups, self._columns)
        expected = expected_ranges(self._spec, piece, tail.start) if self._expected_left > 0 else []
        size = sum(each.length for each in expected)
        if size > self._expected_left:
            return [tail]
        self._expected_left -= size
        return [tail, *expected]

    def _recall(self, file: _Ahead) -> None:
        """Decode a known footer; one that doesn't decode is fetched."""
        assert file.known is not None  # noqa: S101  (looked at before)
        uri, size = file.piece.path, file.piece.file_size
        known, file.known = memoryview(file.known), None
        try:
            footer = parse_footer(uri, size, known, self._schemas)
        except DataError:
            if self._cache is not None:
                self._cache.forget([(uri, size)])
            self._fetch(file, self._ranges(file.piece))
        else:
            self._trusted.add((uri, size))
            self._counters.footers_known += 1
            file.opened = Opened(file.piece, footer, FetchedRanges(uri, []))

    def _fetch(self, file: _Ahead, asked: list[ByteRange]) -> None:
        uri, size, first = file.piece.path, file.piece.file_size, asked[0]
        wanted = sum(each.length for each in asked)

        def came(got: list[memoryview] | BaseException) -> None:
            if isinstance(got, BaseException):
                file.opened = got
            else:
                try:
                    there = FetchedRanges(uri, zip(asked, got, strict=True))
                    footer = _opened(file.piece, there, first.start, got[0], self._schemas)
                    if isinstance(footer, ByteRange):  # larger than was thought
                        self._fetch(file, [footer])
                        return
                    file.opened = Opened(file.piece, footer, there)
                    if self._cache is not None and isinstance(footer, Footer):
                        self._cache.keep(uri, size, footer.encoded)
                except Exception as error:  # noqa: BLE001  (the consumer's thread raises it)
                    file.opened = located(error, f"bytes {first.start}-{size} of {uri}")
            self._wake()

        self._ahead_bytes += wanted - file.bytes
        file.bytes = wanted
        if first.length == 0:
            came([memoryview(b"")])
            return
        self._counters.bytes_wanted += wanted
        self._fetcher.fetch(_FIRST, uri, asked, came)


def _opened(
    piece: Piece, there: FetchedRanges, start: int, tail: memoryview, schemas: dict[bytes, int]
) -> Footer | Contents | ByteRange:
    """A file of which the first ranges are there; or what it takes besides."""
    uri, size = piece.path, piece.file_size
    if piece.format != "PARQUET":
        return format_of(piece.format).open(uri, size, there)
    footer = footer_range(uri, size, tail)
    if footer.start < start:
        return ByteRange(footer.start, size - footer.start)
    return parse_footer(uri, size, tail, schemas)
