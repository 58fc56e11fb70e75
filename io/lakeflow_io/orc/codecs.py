"""The compressed parts of an ORC file's metadata: https://orc.apache.org/specification/ORCv1/#compression."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CODECS", "decompressed"]

# What becomes larger is a lie: a footer of ten thousand columns and stripes has a few MiB.
_LARGEST_BYTES = 2**28
_HEADER_BYTES = 3
_STEP_BYTES = 256 * 1024
# A block of LZ4 has no frame, and doesn't say how large it becomes. In a frame of one block of at most 4 MiB without
# checksums it needn't: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md (the last byte is the
# descriptor's checksum).
_LZ4_FRAME = b"\x04\x22\x4d\x18\x60\x70\x73"


def decompressed(data: memoryview, codec: int) -> memoryview:
    """A footer as it was before its chunks were compressed one by one.

    Args:
        data: All chunks, each behind a header of three bytes.
        codec: One of `CODECS`.

    Raises:
        ValueError, OSError: a chunk doesn't decompress.
    """
    decompress = CODECS[codec]
    if decompress is None:
        return data
    found, at = bytearray(), 0
    while at < len(data):
        header = int.from_bytes(data[at : at + _HEADER_BYTES], "little")
        at, length = at + _HEADER_BYTES, header >> 1
        if at + length > len(data):
            raise ValueError("it is cut")
        chunk = data[at : at + length]
        found += chunk if header & 1 else decompress(chunk)  # 1: as it was
        at += length
        if len(found) > _LARGEST_BYTES:
            raise ValueError(f"it has more than {_LARGEST_BYTES} bytes")
    return memoryview(bytes(found))


def _deflate(chunk: memoryview) -> bytes:
    stream = zlib.decompressobj(-15)
    try:
        found = stream.decompress(chunk, _LARGEST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof:
        raise ValueError("it ends too early")
    return found


def _snappy(chunk: memoryview) -> bytes:
    size = 0
    for shift, byte in enumerate(chunk[:5]):
        size |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a number has no high bit)
            break
    if size > _LARGEST_BYTES:
        raise ValueError(f"it has {size} bytes")
    return pa.Codec("snappy").decompress(chunk, decompressed_size=size).to_pybytes()


def _lz4(chunk: memoryview) -> bytes:
    return _streamed(_LZ4_FRAME + len(chunk).to_bytes(4, "little") + chunk + bytes(4), "lz4")


def _zstandard(chunk: memoryview) -> bytes:
    return _streamed(chunk, "zstd")


def _streamed(data: memoryview | bytes, codec: str) -> bytes:
    found = bytearray()
    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        while len(found) <= _LARGEST_BYTES and (piece := stream.read(_STEP_BYTES)):
            found += piece
    return bytes(found)


CODECS: dict[int, Callable[[memoryview], bytes] | None] = {0: None, 1: _deflate, 2: _snappy, 4: _lz4, 5: _zstandard}
"""By their number in a postscript; 3, LZO, is none that pyarrow reads."""
