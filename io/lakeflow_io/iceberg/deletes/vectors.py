"""A deletion vector: one blob of a Puffin file, found by the offset and length in its manifest.

The blob, https://iceberg.apache.org/puffin-spec/#deletion-vector-v1-blob-type: the length of magic and bitmap,
four bytes, big-endian; the magic; the bitmap; the CRC-32 of magic and bitmap, big-endian. The footer of the
Puffin file says nothing more that is needed, so it isn't fetched.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.iceberg.deletes.roaring import numbers_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lakeflow_io.iceberg.deletes.file import DeleteFile

__all__ = ["vector_positions"]

_MAGIC = b"\xd1\xd3\x39\x64"
_LENGTH_BYTES = _CRC_BYTES = 4


def vector_positions(vector: DeleteFile, blob: memoryview) -> NDArray[np.uint64]:
    """The positions of deleted rows, ascending.

    Raises:
        CorruptFileError: the blob is damaged; names the file and the bytes.
    """
    begin, end = _LENGTH_BYTES, len(blob) - _CRC_BYTES
    if end - begin < len(_MAGIC):
        raise _corrupt(vector, f"{len(blob)} bytes are too few")
    length = int.from_bytes(blob[:begin], "big")
    if length != end - begin:
        raise _corrupt(vector, f"it claims {length} bytes where there are {end - begin}")
    if bytes(blob[begin : begin + len(_MAGIC)]) != _MAGIC:
        raise _corrupt(vector, f"it begins with {bytes(blob[begin : begin + len(_MAGIC)]).hex()}, not {_MAGIC.hex()}")
    expected, found = int.from_bytes(blob[end:], "big"), zlib.crc32(blob[begin:end])
    if expected != found:
        raise _corrupt(vector, f"its checksum is {found:08x}, not {expected:08x}")
    try:
        positions = numbers_of(blob[begin + len(_MAGIC) : end])
    except ValueError as error:
        raise _corrupt(vector, str(error)) from error
    if len(positions) != vector.rows:
        raise _corrupt(vector, f"it deletes {len(positions)} rows, and its manifest says {vector.rows}")
    return positions


def _corrupt(vector: DeleteFile, why: str) -> CorruptFileError:
    return CorruptFileError(
        f"{vector.path}: the deletion vector in bytes {vector.offset}-{vector.offset + vector.length} "
        f"is damaged: {why}.",
        "restore the file, or roll the table back to a snapshot without it.",
    )
