"""Bytes that others compressed -> what they were, or a `ValueError` where that is more than it can be.

What a file says of its own size is not believed: it is damaged, or made to take all memory there is.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

__all__ = ["deflated", "snappy", "streamed"]

_STEP_BYTES = 256 * 1024


def deflated(data: memoryview, most: int) -> bytes:
    """Deflate without a header.

    Raises:
        ValueError: it doesn't decompress, is cut, or has more than `most` bytes.
    """
    stream = zlib.decompressobj(-15)
    try:
        found = stream.decompress(data, most)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof:
        raise ValueError(f"it ends too early, or has more than {most} bytes")
    return found


def snappy(data: memoryview, most: int) -> bytes:
    """A block of Snappy, which begins with its size.

    Raises:
        ValueError: it has more than `most` bytes.
        OSError, pyarrow.ArrowException: it doesn't decompress.
    """
    size = 0
    for shift, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a number has no high bit)
            break
    if size > most:
        raise ValueError(f"it has {size} bytes")
    return pa.Codec("snappy").decompress(data, decompressed_size=size).to_pybytes()


def streamed(data: memoryview | bytes, codec: str, most: int) -> bytes:
    """What pyarrow reads as a stream: not every writer says how large a frame is.

    Raises:
        ValueError: it has more than `most` bytes.
        OSError, pyarrow.ArrowException: it doesn't decompress.
    """
    found = bytearray()
    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        # A little at a time: what is asked for is allocated.
        while len(found) <= most and (piece := stream.read(_STEP_BYTES)):
            found += piece
    if len(found) > most:
        raise ValueError(f"it has more than {most} bytes")
    return bytes(found)
