"""An Avro data file: its blocks, and what fastavro decodes of them.

Nothing in a file says where its blocks are but the blocks before, and positions of rows count all of them. So a file
is fetched whole. Records are decoded a few blocks at a time, which become Python objects on their way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from lakeflow_io.avro.container import SYNC_BYTES, damaged, decompressed, encoded_long, long_at, open_header
from lakeflow_io.avro.types import avro_columns
from lakeflow_io.errors import ConfigError, UnsupportedError
from lakeflow_io.parquet.ranges import ByteRange, coalesce
from lakeflow_io.restate import restated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakeflow_io.avro.container import Container
    from lakeflow_io.avro.types import AvroColumns
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["AvroFile", "AvroFormat"]

# Blocks are decoded together up to this size, compressed: their objects take some twenty times as much.
_GROUP_BYTES = 256 * 1024
# Of the two numbers that a block begins with.
_MOST_NUMBERS_BYTES = 20
_ENCRYPTED_MAGIC = b"AGS1"  # https://iceberg.apache.org/gcm-stream-spec/


class _Block(NamedTuple):
    rows: int
    start: int
    """Of its records, behind the two numbers."""
    length: int
    """Bytes of its records."""


class AvroFormat:
    """How Avro files are opened."""

    def first_ranges(self, size: int) -> list[ByteRange]:
        """The whole file."""
        return coalesce([ByteRange(0, size)])

    def open(self, uri: str, size: int, there: FetchedRanges) -> AvroFile | ByteRange:
        """Decode the header, and find the blocks.

        Raises:
            CorruptFileError: it isn't an Avro file, or a cut one; names it.
            UnsupportedError: the file is encrypted, or has a feature that isn't read.
        """
        begin = there.parts[0][1]
        if bytes(begin[: len(_ENCRYPTED_MAGIC)]) == _ENCRYPTED_MAGIC:
            raise UnsupportedError(f"{uri} is encrypted.", "lakeflow reads unencrypted Avro files.")
        header = open_header(uri, begin)
        try:
            columns = avro_columns(uri, json.loads(header.schema))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise damaged(uri, f"its schema is none that an Iceberg table has ({error!r})") from error
        blocks = list(_blocks(header, len(begin) - len(header.body), size, there))
        return AvroFile(uri, columns, header.schema, header.codec, _grouped(blocks))


def _blocks(header: Container, at: int, size: int, there: FetchedRanges) -> Iterator[_Block]:
    """Where blocks are, without a look at what is in them."""
    while at < size:
        numbers = there.view(at, min(_MOST_NUMBERS_BYTES, size - at))
        try:
            rows, used = long_at(numbers, 0)
            length, used = long_at(numbers, used)
        except IndexError:
            raise damaged(header.uri, "its last block is cut") from None
        start, end = at + used, at + used + length
        if rows < 0 or length < 0 or end + SYNC_BYTES > size or bytes(there.view(end, SYNC_BYTES)) != header.sync:
            raise damaged(header.uri, f"the block at byte {at} does not end where it says")
        yield _Block(rows, start, length)
        at = end + SYNC_BYTES


def _grouped(blocks: Sequence[_Block]) -> list[list[_Block]]:
    groups: list[list[_Block]] = []
    room = 0
    for block in blocks:
        if not groups or block.length > room:
            groups.append([])
            room = _GROUP_BYTES
        groups[-1].append(block)
        room -= block.length
    return groups


def _where(group: Sequence[_Block]) -> ByteRange:
    return ByteRange(group[0].start, group[-1].start + group[-1].length - group[0].start)


@dataclass(frozen=True, slots=True)
class AvroFile:
    """An opened file; its row groups are some blocks each."""

    uri: str
    columns: AvroColumns
    key: bytes
    """What tells its schema from others."""
    codec: str
    blocks: list[list[_Block]]

    @property
    def is_columnar(self) -> bool:
        """Records are decoded one by one."""
        return False

    @property
    def schema(self) -> pa.Schema:
        """Its columns, with field ids as in the metadata of Parquet's."""
        return self.columns.schema

    @property
    def groups(self) -> list[tuple[int, ByteRange]]:
        """Rows and place of each row group."""
        return [(sum(block.rows for block in group), _where(group)) for group in self.blocks]

    def decode(self, group: int, columns: Sequence[str], fetched: FetchedRanges) -> dict[str, pa.ChunkedArray]:
        """Decode top-level columns of some blocks.

        Args:
            group: The row group's index.
            columns: Names in the file.
            fetched: The file's bytes.

        Raises:
            CorruptFileError: records don't decode; names the file.
            ConfigError: fastavro isn't installed.
        """
        parts: dict[str, list[pa.Array]] = {name: [] for name in columns}
        for block in self.blocks[group] if columns else ():
            records = self._records(block, columns, fetched)
            try:
                for name, found in parts.items():
                    values = pa.array([record[name] for record in records], self.columns.decoded.field(name).type)
                    found.append(restated(values, self.schema.field(name).type))
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
                raise damaged(self.uri, f"the block at byte {block.start} has impossible values ({error})") from error
        return {
            name: pa.chunked_array([pa.concat_arrays(found)] if found else [], self.schema.field(name).type)
            for name, found in parts.items()
        }

    def _records(self, block: _Block, columns: Sequence[str], fetched: FetchedRanges) -> list[dict[str, Any]]:
        try:
            from fastavro import schemaless_reader
        except ImportError as error:
            raise ConfigError.missing_extra("fastavro", "avro", f"Reading {self.uri}, which is Avro,") from error
        data = decompressed(self.uri, self.codec, fetched.view(block.start, block.length))
        if block.rows > len(data):
            raise damaged(self.uri, f"the block at byte {block.start} has {block.rows} records in {len(data)} bytes")
        if not block.rows:
            return []
        # Records one behind the other, between their number and a zero, are an array of them.
        encoded = BytesIO(b"".join([encoded_long(block.rows), data, b"\0"]))
        written = self.columns.record
        wanted = {**written, "fields": [each for each in written["fields"] if each["name"] in columns]}
        try:
            found: Any = schemaless_reader(encoded, _array_of(written), _array_of(wanted))
        except Exception as error:  # whatever damaged bytes lead it to
            raise damaged(self.uri, f"the block at byte {block.start} does not decode ({error!r})") from error
        if encoded.tell() != len(encoded.getbuffer()) or len(found) != block.rows:
            raise damaged(self.uri, f"the records of the block at byte {block.start} do not end where it does")
        return found


def _array_of(record: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": record}
