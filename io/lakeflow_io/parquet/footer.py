"""A Parquet file's footer from one ranged read of its tail; no HEAD, since manifests know the size."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from lakeflow_io.storage import Transport

__all__ = ["Footer", "read_footer"]

# A file up to this size is fetched whole: one request is cheaper than footer + data.
_WHOLE_FILE_BYTES = 1024 * 1024
# Covers the footer of 20 columns x 40 row groups; a larger footer costs one more request.
_TAIL_BYTES = 64 * 1024
# Footer length (4 bytes, little endian) and magic: https://parquet.apache.org/docs/file-format/
_TRAILER_BYTES = 8
_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"


@dataclass(frozen=True, slots=True)
class Footer:
    """A decoded footer, and the end of the file that came with it."""

    uri: str
    metadata: Any
    """`pyarrow.parquet.FileMetaData`."""
    tail_start: int
    tail: memoryview
    """Bytes `[tail_start, file size)`: the whole file where it is small."""


def read_footer(transport: Transport, uri: str, size: int) -> Footer:
    """Read and decode the footer of a file of `size` bytes.

    Raises:
        CorruptFileError: the bytes are no Parquet file of that size.
        UnsupportedError: the footer is encrypted.
    """
    if size <= _TRAILER_BYTES:
        raise _corrupt(uri, f"{size} bytes are too few for a Parquet file")
    start = 0 if size <= _WHOLE_FILE_BYTES else size - _TAIL_BYTES
    tail = transport.get_range(uri, start, size - start)
    length, magic = struct.unpack("<I4s", tail[-_TRAILER_BYTES:])
    if magic == _ENCRYPTED_MAGIC:
        raise UnsupportedError(f"{uri} has an encrypted footer.", "lakeflow reads unencrypted Parquet files.")
    if magic != _MAGIC:
        raise _corrupt(uri, f"its last four bytes are {magic!r}, not {_MAGIC!r}")
    footer_start = size - _TRAILER_BYTES - length
    if footer_start < 0:
        raise _corrupt(uri, f"its footer claims {length} bytes of {size}")
    if footer_start < start:
        tail = transport.get_range(uri, footer_start, size - footer_start)
        start = footer_start
    return Footer(uri, _decode(uri, tail[footer_start - start :]), start, tail)


def _decode(uri: str, footer: memoryview) -> Any:
    # A footer alone, preceded by the magic bytes, is a valid file for reading metadata.
    try:
        return pq.read_metadata(pa.BufferReader(_MAGIC + bytes(footer)))
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(uri, f"its footer does not decode: {error}") from error


def _corrupt(uri: str, why: str) -> CorruptFileError:
    return CorruptFileError(
        f"{uri} is not a readable Parquet file: {why}.",
        "the file was truncated or replaced after it was committed; restore it or roll the table back.",
    )
