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
        parts: Fetched ranges without overlap, and their bytes.
    """

    def __init__(self, uri: str, parts: Iterable[tuple[ByteRange, memoryview]]) -> None:
        self._uri = uri
        self._parts = sorted(parts, key=lambda part: part[0].start)
        self._starts = [where.start for where, _ in self._parts]

    def view(self, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`: not copied where one request brought them.

        Raises:
            InternalError: they weren't fetched.
        """
        found = bisect_right(self._starts, start) - 1
        if found >= 0:
            where, data = self._parts[found]
            if start + length <= where.end:
                return data[start - where.start : start - where.start + length]
        return self._joined(found, start, length)

    def _joined(self, first: int, start: int, length: int) -> memoryview:
        taken, at = bytearray(), start
        for where, data in self._parts[max(first, 0) :]:
            if len(taken) == length or not where.start <= at < where.end:
                break
            taken += data[at - where.start : at - where.start + length - len(taken)]
            at = where.end
        if len(taken) != length:
            raise InternalError(f"{self._uri}: bytes {start}-{start + length} are needed and were not fetched.")
        return memoryview(taken)
