"""Whether a metadata file is whole, and of a kind that is read: looked at before anyone decodes it."""

from __future__ import annotations

import gzip
import json
import zlib

from lakeflow_io.errors import CorruptFileError, UnsupportedError

__all__ = ["check_version", "check_whole"]

_VERSIONS = (1, 2, 3)

_AVRO_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16  # https://avro.apache.org/docs/1.12.0/specification/#object-container-files


def check_whole(uri: str, data: memoryview) -> None:
    """Refuse a truncated or overwritten Avro file or `metadata.json`; other files pass.

    Raises:
        CorruptFileError: names the file.
        UnsupportedError: it is table metadata of a format version that isn't read.
    """
    if uri.endswith(".avro"):
        wrong = _why_no_avro(data)
    elif uri.endswith((".metadata.json", ".metadata.json.gz")):
        wrong = _why_no_json(uri, data)
    else:
        return
    if wrong:
        raise CorruptFileError(
            f"{uri} does not decode: {wrong}.", "restore the file, or roll the table back to a snapshot without it."
        )


def _why_no_avro(data: memoryview) -> str | None:
    """An Avro file ends with the sync marker that its header names: a cut shows."""
    if bytes(data[:4]) != _AVRO_MAGIC:
        return "it does not begin as an Avro file"
    try:
        end = _header_end(data, len(_AVRO_MAGIC))
    except (IndexError, ValueError):
        return "its header is cut"
    sync = data[end : end + _SYNC_BYTES]
    return None if len(sync) == _SYNC_BYTES and data[-_SYNC_BYTES:] == sync else "its end is missing"


def _header_end(data: memoryview, at: int) -> int:
    """Where the header's map of names to bytes ends."""
    while True:
        count, at = _long(data, at)
        if count == 0:
            return at
        if count < 0:  # a block that states its size
            count, (_, at) = -count, _long(data, at)
        for _ in range(2 * count):
            length, at = _long(data, at)
            if length < 0 or at + length > len(data):
                raise ValueError(length)
            at += length


def _long(data: memoryview, at: int) -> tuple[int, int]:
    """A zigzag variable-length integer, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a number has no high bit)
            return (value >> 1) ^ -(value & 1), at


def check_version(uri: str, version: object) -> None:
    """Refuse a format version that isn't read.

    Raises:
        UnsupportedError: names the file and the version.
    """
    if version not in _VERSIONS:
        raise UnsupportedError(
            f"{uri} is of format version {version!r}; 1, 2 and 3 are read.", "read the table with a newer lakeflow."
        )


def _why_no_json(uri: str, data: memoryview) -> str | None:
    try:
        text = gzip.decompress(data) if bytes(data[:2]) == b"\x1f\x8b" else bytes(data)
        found = json.loads(text)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        return str(error).splitlines()[0]
    if not isinstance(found, dict) or "format-version" not in found:
        return "it is no table metadata"
    check_version(uri, found["format-version"])
    return None
