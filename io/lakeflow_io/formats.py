"""Data and delete files that aren't Parquet: what is asked of a format, and which formats there are.

Parquet has a way of its own through the reader, column by column. A format joins it here: it says what has to be
there of a file before it can be opened, and an opened file gives columns with field ids, row groups, and the means
to decode one. Deletes, filters, projection and the budget are the reader's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lakeflow_io.avro.file import AvroFormat
from lakeflow_io.orc.file import OrcFormat
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow_io.storage import Transport

__all__ = ["READABLE", "Contents", "Format", "format_of", "read_contents"]


class Contents(Protocol):
    """A file that has been opened. Threads share it; it holds none of the file's bytes."""

    @property
    def uri(self) -> str:
        """The file."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """Its columns, as Iceberg means them; field ids, where it has any, as in the metadata of Parquet's."""
        ...

    @property
    def key(self) -> bytes:
        """What tells its schema from those of other files of the format."""
        ...

    @property
    def is_columnar(self) -> bool:
        """Whether to decode some columns takes about their share of the time that all take."""
        ...

    @property
    def groups(self) -> Sequence[tuple[int, ByteRange]]:
        """Rows and place of what is decoded at once, in the order of rows."""
        ...

    def decode(self, group: int, columns: Sequence[str], fetched: FetchedRanges) -> dict[str, pa.ChunkedArray]:
        """Top-level columns of one row group, of the types that `schema` has.

        Args:
            group: Its index.
            columns: Names in the file.
            fetched: Its bytes, and what the file was opened with.

        Raises:
            DataError: it doesn't decode, or has a feature that isn't read; names the file.
        """
        ...


class Format(Protocol):
    """A kind of files."""

    def first_ranges(self, size: int) -> list[ByteRange]:
        """What has to be there of a file of so many bytes before it can be opened, in order, without a gap."""
        ...

    def open(self, uri: str, size: int, there: FetchedRanges) -> Contents | ByteRange:
        """Open a file of which the first ranges are there.

        Returns:
            The file; or, where they turn out to be too little, what it takes.

        Raises:
            DataError: it isn't such a file, or has a feature that isn't read; names it.
        """
        ...


_FORMATS: dict[str, Format] = {"ORC": OrcFormat(), "AVRO": AvroFormat()}

READABLE = ("PARQUET", *_FORMATS)
"""As manifests spell them."""


def format_of(name: str) -> Format:
    """One of `READABLE` that isn't Parquet."""
    return _FORMATS[name]


def read_contents(transport: Transport, uri: str, size: int, name: str) -> Contents:
    """Fetch what it takes to open one file, and open it.

    Args:
        transport: Where it lies.
        uri: The file.
        size: Its bytes.
        name: Its format, one of `READABLE` that isn't Parquet.

    Raises:
        DataError: it isn't such a file, or has a feature that isn't read; names it.
        StoreError: the store failed.
    """
    opener = format_of(name)
    asked = opener.first_ranges(size)
    while True:
        got = [transport.get_range(uri, each.start, each.length) if each.length else memoryview(b"") for each in asked]
        opened = opener.open(uri, size, FetchedRanges(uri, zip(asked, got, strict=True)))
        if not isinstance(opened, ByteRange):
            return opened
        asked = [opened]
