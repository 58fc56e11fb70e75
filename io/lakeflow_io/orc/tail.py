"""The end of an ORC file, as far as pyarrow doesn't tell it: https://orc.apache.org/specification/ORCv1/#file-tail.

That is where stripes are and how many rows each has, without which nothing could be fetched or counted, and whether
columns are encrypted, which pyarrow doesn't look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.orc.codecs import CODECS, decompressed
from lakeflow_io.orc.protobuf import Message
from lakeflow_io.parquet.ranges import ByteRange

__all__ = ["Stripe", "corrupt", "read_tail"]

_MAGIC = b"ORC"
# What pyarrow reads of a file in any case when it opens it.
_LEAST_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Stripe:
    """Rows that are stored together."""

    rows: int
    where: ByteRange


def read_tail(uri: str, size: int, tail: memoryview) -> list[Stripe] | ByteRange:
    """Decode the end of a file.

    Args:
        uri: The file, for errors.
        size: Its bytes.
        tail: Its last bytes.

    Returns:
        Its stripes; or, where `tail` is too short, what it takes.

    Raises:
        CorruptFileError: it isn't the end of an ORC file of that size; names it.
        UnsupportedError: columns are encrypted, or the codec isn't one that is read.
    """
    if len(tail) <= len(_MAGIC):
        raise corrupt(uri, f"{size} bytes are too few")
    length = tail[-1]
    if length + 1 > len(tail):
        raise corrupt(uri, f"its end claims {length} bytes of {size}")
    try:
        postscript = Message(tail[-1 - length : -1])
    except ValueError as error:
        raise corrupt(uri, f"its postscript does not decode: {error}") from error
    if postscript.parts(8000) != [_MAGIC]:
        raise corrupt(uri, "it does not end as an ORC file")
    codec, footer_bytes = postscript.number(2), postscript.number(1)
    if codec not in CODECS:
        raise UnsupportedError(f"{uri} is compressed with codec {codec} of ORC.", "rewrite the file with zlib or zstd.")
    start = size - 1 - length - footer_bytes
    if start < len(_MAGIC):
        raise corrupt(uri, f"its footer claims {footer_bytes} bytes of {size}")
    needed = max(0, min(start, size - _LEAST_BYTES))
    if needed < size - len(tail):
        return ByteRange(needed, size - needed)
    try:
        return _stripes(uri, Message(decompressed(tail[start - size : -1 - length], codec)), start)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise corrupt(uri, f"its footer does not decode: {error}") from error


def corrupt(uri: str, why: str) -> CorruptFileError:
    """What is raised for a file that isn't as it has to be."""
    return CorruptFileError(
        f"{uri} is not a readable ORC file: {why}.",
        "the file was damaged or replaced after it was committed; restore it or roll the table back.",
    )


def _stripes(uri: str, footer: Message, end: int) -> list[Stripe]:
    if any(len(part) for part in footer.parts(10)):
        raise UnsupportedError(f"{uri} has encrypted columns.", "lakeflow reads unencrypted ORC files.")
    found, at = [], len(_MAGIC)
    for part in footer.parts(3):
        stripe = Message(part)
        where = ByteRange(stripe.number(1), stripe.number(2) + stripe.number(3) + stripe.number(4))
        if where.start < at or where.end > end:
            raise ValueError(f"it places a stripe at bytes {where.start}-{where.end} of {end}")
        found.append(Stripe(stripe.number(5), where))
        at = where.end
    rows = sum(stripe.rows for stripe in found)
    if rows != footer.number(6):
        raise ValueError(f"its stripes have {rows} rows, not {footer.number(6)}")
    return found
