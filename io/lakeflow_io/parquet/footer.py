"""A Parquet file's footer from the tail of the file; no HEAD, since manifests know the size."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.parquet.native.footer import ENCRYPTED, footer_fault, schema_bytes
from lakeflow_io.parquet.native.places import chunk_places
from lakeflow_io.parquet.ranges import ByteRange, column_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.parquet.native.places import ChunkPlaces
    from lakeflow_io.parquet.ranges import ColumnChunk
    from lakeflow_io.storage import Transport

__all__ = ["Footer", "footer_range", "parse_footer", "read_footer", "tail_range"]

# A file up to this size is fetched whole: one request is cheaper than footer + data.
_WHOLE_FILE_BYTES = 1024 * 1024
# A footer too large for its tail costs one more request; a tail too large costs its bytes. A column
# chunk takes 60 to 250 bytes of a footer, most of it statistics.
_LEAST_TAIL_BYTES, _MOST_TAIL_BYTES = 64 * 1024, 1024 * 1024
_CHUNK_BYTES = 160
# Footer length (4 bytes, little endian) and magic: https://parquet.apache.org/docs/file-format/
_TRAILER_BYTES = 8
_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"


@dataclass(slots=True)
class Footer:
    """A footer, decoded as far as somebody has looked."""

    uri: str
    size: int
    """Bytes of the file."""
    decoded: Any
    """`metadata`, if it has been looked at."""
    encoded: bytes
    """Its own bytes, with the trailer: the end of the file."""
    schema_bytes: bytes | None
    """What tells one schema from another, where it is known: files of one writer have one."""
    places: ChunkPlaces | None = None
    """Its row groups, where they were found without decoding it."""

    @property
    def metadata(self) -> Any:
        """`pyarrow.parquet.FileMetaData`.

        Raises:
            CorruptFileError: it doesn't decode.
        """
        if self.decoded is None:
            self.decoded = _decoded(self.uri, self.encoded)
        return self.decoded

    @property
    def columns(self) -> int:
        """Leaf columns."""
        return self.places.columns if self.places is not None else int(self.metadata.num_columns)

    @property
    def rows(self) -> Sequence[int]:
        """Of each row group."""
        if self.places is not None:
            return self.places.rows
        return [self.metadata.row_group(index).num_rows for index in range(self.metadata.num_row_groups)]

    def chunks(self, group: int, leaves: Sequence[int]) -> list[ColumnChunk]:
        """Where some leaf columns of a row group are, in their order."""
        if self.places is not None:
            return self.places.chunks(group, leaves)
        return column_chunks(self.metadata.row_group(group), leaves)

    def start(self, group: int) -> int:
        """Where a row group begins: what manifests list as split offsets."""
        return min((chunk.start for chunk in self.chunks(group, range(self.columns))), default=0)


def tail_range(size: int, row_groups: int = 0, columns: int = 0) -> ByteRange:
    """What to fetch of a file for its footer.

    Args:
        size: Bytes of the file.
        row_groups: How many it has, as far as the manifest knows.
        columns: Leaf columns.
    """
    if size <= _WHOLE_FILE_BYTES:
        return ByteRange(0, size)
    likely = max(_LEAST_TAIL_BYTES, min(_MOST_TAIL_BYTES, row_groups * columns * _CHUNK_BYTES))
    return ByteRange(size - min(size, likely), min(size, likely))


def footer_range(uri: str, size: int, tail: memoryview) -> ByteRange:
    """Where the footer is, without its trailer.

    Args:
        uri: The file.
        size: Its bytes.
        tail: Its last bytes, as many as there are.

    Raises:
        CorruptFileError: the bytes are no end of a Parquet file of that size.
        UnsupportedError: the footer is encrypted.
    """
    if size <= _TRAILER_BYTES:
        raise _corrupt(uri, f"{size} bytes are too few for a Parquet file")
    length, magic = struct.unpack("<I4s", tail[-_TRAILER_BYTES:])
    if magic == _ENCRYPTED_MAGIC:
        raise UnsupportedError(f"{uri} has an encrypted footer.", "lakeflow reads unencrypted Parquet files.")
    if magic != _MAGIC:
        raise _corrupt(uri, f"its last four bytes are {magic!r}, not {_MAGIC!r}")
    start = size - _TRAILER_BYTES - length
    if start < 0:
        raise _corrupt(uri, f"its footer claims {length} bytes of {size}")
    return ByteRange(start, length)


def parse_footer(uri: str, size: int, tail: memoryview, schemas: dict[bytes, int] | None = None) -> Footer:
    """Decode a footer that lies within `tail`, the last bytes of a file.

    Args:
        uri: The file.
        size: Its bytes.
        tail: Its last bytes.
        schemas: Leaf columns of the schemas met before, which is added to. Of a file with one of these only the
            row groups are looked at: most of a footer is statistics and the schema again.

    Raises:
        CorruptFileError: it doesn't decode.
        UnsupportedError: it, or one of the columns, is encrypted.
    """
    where = footer_range(uri, size, tail)
    encoded = bytes(tail[where.start - size :])
    footer = memoryview(encoded)[: where.length]
    key = schema_bytes(footer)
    columns = schemas.get(key) if schemas is not None and key is not None else None
    if columns is not None and footer_fault(footer, columns) is None:
        places = chunk_places(footer, columns)
        if places is not None:
            return Footer(uri, size, None, encoded, key, places)
    metadata = _decoded(uri, encoded)
    fault = footer_fault(footer, metadata.num_columns)
    if fault == ENCRYPTED:
        raise UnsupportedError(f"{uri} has encrypted columns.", "lakeflow reads unencrypted Parquet files.")
    if fault is not None:
        raise _corrupt(uri, f"its footer is damaged: {fault}")
    if schemas is not None and key is not None:
        schemas[key] = metadata.num_columns
    return Footer(uri, size, metadata, encoded, key)


def _decoded(uri: str, encoded: bytes) -> Any:
    # A footer alone, preceded by the magic bytes, is a valid file for reading metadata.
    try:
        return pq.read_metadata(pa.BufferReader(_MAGIC + encoded))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _corrupt(uri, f"its footer does not decode: {error}") from error


def read_footer(transport: Transport, uri: str, size: int) -> Footer:
    """Read and decode the footer of one file, in one or two requests.

    Raises:
        CorruptFileError: the bytes are no Parquet file of that size.
        UnsupportedError: the footer is encrypted.
    """
    asked = tail_range(size)
    tail = transport.get_range(uri, asked.start, asked.length) if size else memoryview(b"")
    start = footer_range(uri, size, tail).start
    if start < asked.start:
        tail = transport.get_range(uri, start, size - start)
    return parse_footer(uri, size, tail)


def _corrupt(uri: str, why: str) -> CorruptFileError:
    return CorruptFileError(
        f"{uri} is not a readable Parquet file: {why}.",
        "the file was truncated or replaced after it was committed; restore it or roll the table back.",
    )
