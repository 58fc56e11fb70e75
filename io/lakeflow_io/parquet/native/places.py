"""Where column chunks lie, read from a footer's own bytes: a tenth of the time that decoding all of it takes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.parquet.native.binding import library
from lakeflow_io.parquet.ranges import ColumnChunk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ChunkPlaces", "chunk_places"]

_PLACE, _ROWS = Struct("=qqqq"), Struct("=q")  # of `lf_place`
# As pyarrow spells them. What it calls LZ4 may be one of two codecs: those files are decoded as a whole.
_CODECS = {0: "UNCOMPRESSED", 1: "SNAPPY", 2: "GZIP", 4: "BROTLI", 6: "ZSTD"}
# What a column chunk takes in a footer at least: its sizes, its offset, its path.
_LEAST_CHUNK_BYTES = 16


@dataclass(frozen=True, slots=True)
class ChunkPlaces:
    """The row groups of a footer."""

    columns: int
    """Leaf columns."""
    rows: tuple[int, ...]
    """Of each row group."""
    _places: memoryview

    def chunks(self, group: int, leaves: Sequence[int]) -> list[ColumnChunk]:
        """The chunks of some leaf columns, in their order."""
        found = []
        for leaf in leaves:
            start, length, uncompressed, codec = _PLACE.unpack_from(
                self._places, (group * self.columns + leaf) * _PLACE.size
            )
            found.append(ColumnChunk(start, length, uncompressed, _CODECS[codec]))
        return found


def chunk_places(footer: memoryview, columns: int) -> ChunkPlaces | None:
    """The places that a footer tells; None where the compiled decoder is missing, or they need a closer look.

    Args:
        footer: Its bytes, in which `footer_fault` found nothing.
        columns: Leaf columns of its schema.
    """
    native = library()
    if native is None or columns == 0:
        return None
    source, most = pa.py_buffer(footer), len(footer) // (columns * _LEAST_CHUNK_BYTES) + 1
    rows, places = bytearray(most * _ROWS.size), bytearray(most * columns * _PLACE.size)
    room = [(ctypes.c_char * len(each)).from_buffer(each) for each in (rows, places)]
    groups = native.lf_list_chunks(source.address, source.size, columns, most, *room)
    if groups < 0:
        return None
    told = memoryview(places)[: groups * columns * _PLACE.size]
    if any(codec not in _CODECS for _, _, _, codec in _PLACE.iter_unpack(told)):
        return None
    counts = (count for (count,) in _ROWS.iter_unpack(memoryview(rows)[: groups * _ROWS.size]))
    return ChunkPlaces(columns, tuple(counts), told)
