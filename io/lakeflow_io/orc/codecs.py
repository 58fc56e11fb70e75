"""The compressed parts of an ORC file's metadata: https://orc.apache.org/specification/ORCv1/#compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_io.decompress import deflated, snappy, streamed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CODECS", "decompressed"]

# What becomes larger is a lie: a footer of ten thousand columns and stripes has a few MiB.
_LARGEST_BYTES = 2**28
_HEADER_BYTES = 3
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
        found += chunk if header & 1 else decompress(chunk, _LARGEST_BYTES)  # 1: as it was
        at += length
        if len(found) > _LARGEST_BYTES:
            raise ValueError(f"it has more than {_LARGEST_BYTES} bytes")
    return memoryview(bytes(found))


def _lz4(chunk: memoryview, most: int) -> bytes:
    return streamed(_LZ4_FRAME + len(chunk).to_bytes(4, "little") + chunk + bytes(4), "lz4", most)


def _zstandard(chunk: memoryview, most: int) -> bytes:
    return streamed(chunk, "zstd", most)


CODECS: dict[int, Callable[[memoryview, int], bytes] | None] = {0: None, 1: deflated, 2: snappy, 4: _lz4, 5: _zstandard}
"""By their number in a postscript; 3, LZO, is none that pyarrow reads."""
