"""The codecs of Parquet: which C decompresses itself, and pyarrow's for the others."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa

from lakeflow_io.parquet.native.pool import buffer_pool

__all__ = ["CODECS", "Codec", "Decompress"]


class Decompress(Protocol):
    """Decompress one page."""

    def __call__(self, source: pa.Buffer, target: int, size: int, /) -> bool:
        """Write `size` bytes to the address `target`; tell whether it was exactly so many.

        Raises:
            OSError, ValueError, pyarrow.ArrowException: the page is damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec."""

    number: int
    """As decoder.h has it."""
    decompress: Decompress | None = None
    """None: C does it itself."""


def _zstd(source: pa.Buffer, target: int, size: int) -> bool:
    # It refuses a frame of another size.
    found = pa.Codec("zstd").decompress(source, decompressed_size=size, memory_pool=buffer_pool())
    ctypes.memmove(target, found.address, size)
    return True


def _streamed(name: str, source: pa.Buffer, target: int, size: int) -> bool:
    # pa.Codec pads what comes out too short, with whatever lay in memory before.
    with pa.CompressedInputStream(pa.BufferReader(source), name) as stream:
        return stream.readinto((ctypes.c_char * size).from_address(target)) == size and stream.read(1) == b""


CODECS = {
    "UNCOMPRESSED": Codec(0),
    "SNAPPY": Codec(1),
    "GZIP": Codec(2, partial(_streamed, "gzip")),
    "BROTLI": Codec(4, partial(_streamed, "brotli")),
    "ZSTD": Codec(6, _zstd),
    # pyarrow's name for LZ4_RAW as well as for Hadoop's framing, which doesn't decode as the former.
    "LZ4": Codec(7),
}
"""By pyarrow's names."""
