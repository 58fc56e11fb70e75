"""Which bytes of a file a projection needs, coalesced into few requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ByteRange", "coalesce", "column_chunks", "row_group_start"]

# Two chunks closer than this are fetched in one request: 64 KiB is what a connection of 80 MB/s
# moves in the jitter of one request's latency.
_MAX_GAP_BYTES = 64 * 1024
# Requests stop growing here. A single column chunk above it stays one request.
_MAX_REQUEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes `[start, start + length)`."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """One behind the last byte."""
        return self.start + self.length


def _chunk_start(chunk: Any) -> int:
    # Some writers leave a dictionary offset of 0 where there is no dictionary.
    dictionary = chunk.dictionary_page_offset
    if chunk.has_dictionary_page and dictionary and dictionary < chunk.data_page_offset:
        return int(dictionary)
    return int(chunk.data_page_offset)


def row_group_start(row_group: Any) -> int:
    """Where a row group begins: what manifests list as split offsets."""
    return min((_chunk_start(row_group.column(i)) for i in range(row_group.num_columns)), default=0)


def column_chunks(row_group: Any, leaves: Sequence[int]) -> list[ByteRange]:
    """The byte range of each leaf column's chunk, in the order of `leaves`."""
    chunks = (row_group.column(leaf) for leaf in leaves)
    return [ByteRange(_chunk_start(chunk), int(chunk.total_compressed_size)) for chunk in chunks]


def coalesce(ranges: Iterable[ByteRange]) -> list[ByteRange]:
    """Merge ranges into requests: neighbours and small gaps together, up to 16 MiB each."""
    requests: list[ByteRange] = []
    for part in sorted(ranges):
        last = requests[-1] if requests else None
        if last and part.start - last.end <= _MAX_GAP_BYTES and part.end - last.start <= _MAX_REQUEST_BYTES:
            requests[-1] = ByteRange(last.start, max(last.end, part.end) - last.start)
        else:
            requests.append(part)
    return requests
