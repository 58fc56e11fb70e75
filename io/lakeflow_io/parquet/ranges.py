"""Which bytes of a file a projection needs, coalesced into few requests; and what came of them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lakeflow_io.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "MAX_REQUEST_BYTES",
    "ByteRange",
    "ColumnChunk",
    "FetchedRanges",
    "coalesce",
    "column_chunks",
    "row_group_start",
]

# Two chunks closer than this are fetched in one request. With many requests in flight the link is
# busy all the time, so a gap costs its bytes and saves a request's CPU: at 500 MB/s, 200 us are 100 kB.
_MAX_GAP_BYTES = 128 * 1024
# Requests stop growing here, and larger column chunks are cut into parts of at most this size, which
# different connections fetch side by side.
MAX_REQUEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes `[start, start + length)`."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """One behind the last byte."""
        return self.start + self.length


class ColumnChunk(NamedTuple):
    """Where one column of a row group is in its file, as the footer says."""

    start: int
    length: int
    """Bytes."""
    uncompressed: int
    """Bytes, page headers included."""
    codec: str
    """As pyarrow spells it: `SNAPPY`, `ZSTD`, ..."""

    @property
    def end(self) -> int:
        """One behind the last byte."""
        return self.start + self.length


def _chunk_start(chunk: Any) -> int:
    # Some writers leave a dictionary offset of 0 where there is no dictionary.
    data = chunk.data_page_offset
    dictionary = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
    return int(dictionary) if dictionary and dictionary < data else int(data)


def row_group_start(row_group: Any) -> int:
    """Where a row group begins: what manifests list as split offsets."""
    return min((_chunk_start(row_group.column(i)) for i in range(row_group.num_columns)), default=0)


def column_chunks(row_group: Any, leaves: Sequence[int]) -> list[ColumnChunk]:
    """Each leaf column's chunk, in the order of `leaves`."""
    found = []
    for leaf in leaves:
        chunk = row_group.column(leaf)
        found.append(
            ColumnChunk(
                _chunk_start(chunk), chunk.total_compressed_size, chunk.total_uncompressed_size, chunk.compression
            )
        )
    return found


class _Range(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def end(self) -> int: ...


def coalesce(ranges: Iterable[_Range], most: int = MAX_REQUEST_BYTES) -> list[ByteRange]:
    """Ranges -> requests, sorted: neighbours and small gaps together, large ranges in parts.

    Args:
        ranges: Without overlap, in any order.
        most: Bytes of a request at most.
    """
    requests: list[ByteRange] = []
    for part in sorted(ranges, key=lambda each: each.start):
        last = requests[-1] if requests else None
        if last and part.start - last.end <= _MAX_GAP_BYTES and part.end - last.start <= most:
            requests[-1] = ByteRange(last.start, max(last.end, part.end) - last.start)
        else:
            requests += _parts(part, most)
    return requests


def _parts(whole: _Range, most: int) -> list[ByteRange]:
    count = max(1, -(-whole.length // most))
    edges = [whole.start + whole.length * i // count for i in range(count + 1)]
    return [ByteRange(edges[i], edges[i + 1] - edges[i]) for i in range(count)]


class FetchedRanges:
    """Bytes of a file at known offsets.

    Args:
        uri: Named in errors.
        parts: Fetched ranges, which may overlap, and their bytes.

    Attributes:
        parts: The same, sorted.
        bytes: How many they are.
    """

    def __init__(self, uri: str, parts: Iterable[tuple[ByteRange, memoryview]]) -> None:
        self._uri = uri
        self.parts = sorted(parts, key=lambda part: part[0])
        self.bytes = sum(len(data) for _, data in self.parts)
        self._starts = [where.start for where, _ in self.parts]

    def covers(self, start: int, length: int) -> bool:
        """Whether bytes `[start, start + length)` are among them."""
        end = start + length
        while start < end:
            found = self._part(start, end)
            if found is None:
                return False
            start = found[0].end
        return True

    def view(self, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`: not copied where one request brought them.

        Raises:
            InternalError: they weren't fetched.
        """
        taken, at, end = bytearray(), start, start + length
        while at < end:
            found = self._part(at, end)
            if found is None:
                raise InternalError(f"{self._uri}: bytes {start}-{end} are needed and were not fetched.")
            where, data = found
            piece = data[at - where.start : end - where.start]
            if len(piece) == length:
                return piece
            taken += piece
            at += len(piece)
        return memoryview(taken)

    def _part(self, start: int, end: int) -> tuple[ByteRange, memoryview] | None:
        """The part with bytes from `start` on that goes on to `end`; without one, the part that goes on farthest."""
        best = None
        for index in range(bisect_right(self._starts, start) - 1, -1, -1):
            part = self.parts[index]
            if part[0].end >= end:
                return part
            if part[0].end > (best[0].end if best else start):
                best = part
        return best
