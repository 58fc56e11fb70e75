"""An Avro file's header and blocks: https://avro.apache.org/docs/1.12.0/specification/#object-container-files."""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.decompress import deflated, snappy, streamed
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "SYNC_BYTES",
    "Container",
    "damaged",
    "decompressed",
    "encoded_long",
    "long_at",
    "open_container",
    "open_header",
]

_MAGIC = b"Obj\x01"
SYNC_BYTES = 16
# Manifests have 8 MiB. What becomes larger than this is a lie.
_LARGEST_BLOCK_BYTES = 2**30


def damaged(uri: str, why: str) -> CorruptFileError:
    """What is raised for a file that isn't as it has to be."""
    return CorruptFileError(
        f"{uri} does not decode: {why}.", "restore the file, or roll the table back to a snapshot without it."
    )


@dataclass(frozen=True, slots=True)
class Container:
    """An Avro file."""

    uri: str
    schema: bytes
    """As JSON: what its records were written with."""
    codec: str
    sync: bytes
    """What every block ends with."""
    body: memoryview
    """All blocks."""

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The records of each block, decompressed, and how many they are.

        Raises:
            CorruptFileError: the file is damaged; names it.
        """
        at, body = 0, self.body
        while at < len(body):
            try:
                count, at = long_at(body, at)
                size, at = long_at(body, at)
            except IndexError:
                raise damaged(self.uri, "its last block is cut") from None
            end = at + size
            if count < 0 or size < 0 or bytes(body[end : end + SYNC_BYTES]) != self.sync:
                raise damaged(self.uri, "a block does not end where it says")
            yield count, decompressed(self.uri, self.codec, body[at:end])
            at = end + SYNC_BYTES

    def decompressed(self) -> Container:
        """The same file without compression."""
        parts = []
        for count, records in self.blocks():
            parts += [encoded_long(count), encoded_long(len(records)), records, self.sync]
        return replace(self, codec="null", body=memoryview(b"".join(parts)))


def decompressed(uri: str, codec: str, block: memoryview) -> bytes:
    """A block's records.

    Args:
        uri: The file, for errors.
        codec: One that `open_header` has let pass.
        block: What lies between its size and the sync marker.

    Raises:
        CorruptFileError: it doesn't decompress; names the file.
    """
    try:
        return _CODECS[codec](block)
    except (ValueError, EOFError, OSError, lzma.LZMAError, pa.ArrowException) as error:
        raise damaged(uri, f"a block does not decompress ({error})") from error


def open_container(uri: str, data: memoryview) -> Container:
    """Read a whole file's header.

    Raises:
        CorruptFileError: it isn't an Avro file, or a cut one; names it.
        UnsupportedError: it has a codec that Avro doesn't list.
    """
    found = open_header(uri, data)
    if len(found.body) and bytes(found.body[-SYNC_BYTES:]) != found.sync:
        raise damaged(uri, "its end is missing")
    return found


def open_header(uri: str, data: memoryview) -> Container:
    """Read the header of a file of which the beginning is there; the body is what is there behind it.

    Raises:
        CorruptFileError: it isn't an Avro file, or a cut one; names it.
        UnsupportedError: it has a codec that Avro doesn't list.
    """
    if bytes(data[:4]) != _MAGIC:
        raise damaged(uri, "it does not begin as an Avro file")
    try:
        told, at = _header(data, len(_MAGIC))
    except (IndexError, ValueError):
        raise damaged(uri, "its header is cut") from None
    sync, body = bytes(data[at : at + SYNC_BYTES]), data[at + SYNC_BYTES :]
    if len(sync) < SYNC_BYTES:
        raise damaged(uri, "its end is missing")
    codec = told.get("avro.codec", b"null").decode(errors="replace")
    if codec not in _CODECS:
        raise UnsupportedError(
            f"{uri} is compressed with {codec!r}, which is no codec of Avro.",
            "write the file anew, with the table property write.avro.compression-codec=gzip.",
        )
    if "avro.schema" not in told:
        raise damaged(uri, "its header has no schema")
    return Container(uri, told["avro.schema"], codec, sync, body)


def _header(data: memoryview, at: int) -> tuple[dict[str, bytes], int]:
    found: dict[str, bytes] = {}
    while True:
        count, at = long_at(data, at)
        if count == 0:
            return found, at
        if count < 0:  # a part that states its size
            count, (_, at) = -count, long_at(data, at)
        for _ in range(count):
            name, at = _text(data, at)
            found[name.decode(errors="replace")], at = _text(data, at)


def _text(data: memoryview, at: int) -> tuple[bytes, int]:
    length, at = long_at(data, at)
    if length < 0 or at + length > len(data):
        raise ValueError(length)
    return bytes(data[at : at + length]), at + length


def long_at(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """A zigzag variable-length integer, and where it ends.

    Raises:
        IndexError: it is cut, or has more than 64 bits.
    """
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a number has no high bit)
            value &= 0xFFFF_FFFF_FFFF_FFFF
            return (value >> 1) ^ -(value & 1), at
        if shift > 63:  # noqa: PLR2004
            raise IndexError(at)


def encoded_long(value: int) -> bytes:
    """A number that isn't negative, as a zigzag variable-length integer."""
    rest, found = value << 1, bytearray()
    while rest > 0x7F:  # noqa: PLR2004  (seven bits a byte)
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


def _deflate(data: memoryview) -> bytes:
    return deflated(data, _LARGEST_BLOCK_BYTES)


def _bzip2(data: memoryview) -> bytes:
    stream = bz2.BZ2Decompressor()
    return _whole(stream.decompress(data, _LARGEST_BLOCK_BYTES), finished=stream.eof)


def _xz(data: memoryview) -> bytes:
    stream = lzma.LZMADecompressor()
    return _whole(stream.decompress(data, _LARGEST_BLOCK_BYTES), finished=stream.eof)


def _whole(found: bytes, *, finished: bool) -> bytes:
    if not finished:
        raise ValueError(f"it ends too early, or has more than {_LARGEST_BLOCK_BYTES} bytes")
    return found


def _zstandard(data: memoryview) -> bytes:
    return streamed(data, "zstd", _LARGEST_BLOCK_BYTES)


def _snappy(data: memoryview) -> bytes:
    if len(data) < 5:  # noqa: PLR2004  (a byte, and a checksum)
        raise ValueError(f"{len(data)} bytes are too few")
    found = snappy(data[:-4], _LARGEST_BLOCK_BYTES)
    if zlib.crc32(found) != int.from_bytes(data[-4:], "big"):
        raise ValueError("its checksum differs")
    return found


_CODECS: dict[str, Callable[[memoryview], bytes]] = {
    "null": bytes,
    "deflate": _deflate,
    "snappy": _snappy,
    "zstandard": _zstandard,
    "bzip2": _bzip2,
    "xz": _xz,
}
