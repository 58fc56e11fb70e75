"""What is fetched and decoded together: neighbouring row groups of one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.iceberg.verdict import Match
from lakeflow_io.parquet.ranges import ColumnChunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from lakeflow_io.formats import Contents
    from lakeflow_io.iceberg.deletes.apply import FileDeletes
    from lakeflow_io.iceberg.plan import Piece
    from lakeflow_io.iceberg.projection import FileProjection
    from lakeflow_io.iceberg.row_groups import FileRowGroups
    from lakeflow_io.parquet.footer import Footer
    from lakeflow_io.parquet.ranges import FetchedRanges
    from lakeflow_io.reader.report import Counters

__all__ = ["Access", "OpenFile", "RowGroup", "Unit", "fixed_width", "pack", "wanted_groups", "wanted_row_groups"]

# Row groups are fetched together up to this size: smaller requests pay for their latency.
_PACKED_BYTES = 8 * 1024 * 1024
# Of a column's validity and values, each a multiple of 64 bytes.
_PADDING_BYTES = 128


@dataclass(frozen=True, slots=True)
class Access:
    """How the columns of a file are fetched and decoded, whatever its format."""

    schema: pa.Schema
    """Its columns, with field ids as in the metadata of Parquet's."""
    leaves: Callable[[tuple[str, ...]], Sequence[int]]
    """Positions of what is fetched of a row group for some columns."""
    decode: Callable[[RowGroup, Sequence[str], FetchedRanges], dict[str, pa.ChunkedArray]]
    """Some columns of a row group."""
    fetches_columns: bool
    """Whether columns are fetched one by one, so that some may wait for others."""
    decodes_columns: bool
    """Whether columns are decoded one by one, so that several cores may share them."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A data file whose footer is known."""

    piece: Piece
    access: Access
    projection: FileProjection
    constants: dict[int, Any]
    there: FetchedRanges
    """What came with the footer."""
    names: tuple[str, ...]
    """All columns of the table that are read."""
    looked_at: tuple[str, ...]
    """Of these, those that tell which rows leave the reader."""
    deletes: FileDeletes | None
    """What is deleted of it."""

    @property
    def kept_bytes(self) -> int:
        """What is kept until its last unit is decoded."""
        return self.there.bytes + (self.deletes.bytes if self.deletes is not None else 0)


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group that has to be read."""

    index: int
    rows: int
    chunks: dict[int, ColumnChunk]
    """Of the columns that are read, by leaf."""
    fetched_bytes: int
    """Without what came with the footer."""
    decoded_bytes: int
    """At least: encodings make a footer's own figure too small."""
    passes: bool
    """Whether statistics prove that every row passes the filter."""
    first: int = 0
    """Position of its first row in the file; of a file with deletes only."""


@dataclass(slots=True)
class Unit:
    """Row groups on their way."""

    file: OpenFile
    groups: list[RowGroup] = field(default_factory=list)
    fetched: int = 0
    """Bytes to fetch."""
    promised: int = 0
    """Bytes decoded, as the footer has them."""
    opens: int = 0
    """The file's `kept_bytes`, of its first unit."""
    closes: int = 0
    """The same, of its last unit."""

    @property
    def held(self) -> int:
        """What the fetched bytes count for: half as much again, which allocators keep of those that went before."""
        return self.fetched * 3 // 2


def wanted_row_groups(
    file: OpenFile,
    footer: Footer,
    columns: tuple[str, ...],
    row_bytes: int,
    judged: FileRowGroups | None,
    counters: Counters,
) -> Iterator[RowGroup]:
    """The row groups of a Parquet file's piece that may hold rows of the scan.

    Args:
        file: The file.
        footer: Its footer.
        columns: The file's columns that are read.
        row_bytes: Bytes of a decoded row, as far as types tell.
        judged: The filter on statistics; None without a filter.
        counters: Where row groups are counted.
    """
    piece, leaves = file.piece, file.access.leaves(columns)
    first = behind = 0
    for index, count in enumerate(footer.rows):
        if file.deletes is not None:
            # Positions count all row groups of the file, read or not, in this piece or another one.
            first, behind = behind, behind + _rows(file, count, index)
        if not piece.is_whole and not piece.start <= footer.start(index) < piece.end:
            continue
        counters.row_groups += 1
        match = judged.match(index) if judged is not None else Match.ALL
        if match is Match.NONE:
            counters.row_groups_pruned += 1
            continue
        chunks = _checked(file, footer.chunks(index, leaves))
        rows = _rows(file, count, index)
        if _all_deleted(file, first, rows, counters):
            continue
        decoded = max(sum(chunk.uncompressed for chunk in chunks), rows * row_bytes) + len(chunks) * _PADDING_BYTES
        fetched = sum(chunk.length for chunk in chunks if not file.there.covers(chunk.start, chunk.length))
        yield RowGroup(index, rows, dict(zip(leaves, chunks, strict=True)), fetched, decoded, match is Match.ALL, first)


def wanted_groups(
    file: OpenFile, contents: Contents, columns: tuple[str, ...], row_bytes: int, counters: Counters
) -> Iterator[RowGroup]:
    """The row groups of a piece of any other file: no statistics tell which hold no row of the scan.

    Args:
        file: The file.
        contents: The same, opened.
        columns: The file's columns that are read.
        row_bytes: Bytes of a decoded row, as far as types tell.
        counters: Where row groups are counted.
    """
    piece, behind = file.piece, 0
    for index, (rows, where) in enumerate(contents.groups):
        first, behind = behind, behind + rows
        if not piece.is_whole and not piece.start <= where.start < piece.end:
            continue
        counters.row_groups += 1
        if _all_deleted(file, first, rows, counters):
            continue
        fetched = where.length if columns and not file.there.covers(where.start, where.length) else 0
        decoded = max(where.length if columns else 0, rows * row_bytes) + len(columns) * _PADDING_BYTES
        chunks = {
            leaf: ColumnChunk(where.start, where.length, where.length, "") for leaf in file.access.leaves(columns)
        }
        yield RowGroup(index, rows, chunks, fetched, decoded, passes=False, first=first)


def _all_deleted(file: OpenFile, first: int, rows: int, counters: Counters) -> bool:
    """Whether it is known without a look at them that all rows of a row group are deleted; they are counted."""
    if file.deletes is None or not rows or file.deletes.known(first, rows) < rows:
        return False
    counters.row_groups_pruned += 1
    counters.deletes_unread += rows
    return True


def _rows(file: OpenFile, rows: int, index: int) -> int:
    if rows < 0:
        raise CorruptFileError(
            f"{file.piece.path}: its footer gives row group {index} {rows} rows.",
            "the file is damaged; restore it or roll the table back to a snapshot without it.",
        )
    return rows


def _checked(file: OpenFile, chunks: list[ColumnChunk]) -> list[ColumnChunk]:
    size = file.piece.file_size
    for chunk in chunks:
        if chunk.start < 0 or chunk.length < 0 or chunk.uncompressed < 0 or chunk.end > size:
            raise CorruptFileError(
                f"{file.piece.path}: its footer places a column at bytes {chunk.start}-{chunk.end} of {size}.",
                "the file is damaged; restore it or roll the table back to a snapshot without it.",
            )
    return chunks


def pack(file: OpenFile, groups: Iterable[RowGroup], most_cost: int) -> Iterator[Unit]:
    """Neighbouring row groups of a file -> units of about 8 MiB.

    Args:
        file: The file.
        groups: Its row groups that are wanted, in order.
        most_cost: Bytes, fetched and decoded, above which a unit doesn't grow.
    """
    unit = Unit(file, opens=file.kept_bytes)
    for group in groups:
        fetched, promised = unit.fetched + group.fetched_bytes, unit.promised + group.decoded_bytes
        if unit.groups and (fetched > _PACKED_BYTES or fetched + promised > most_cost):
            yield unit
            unit = Unit(file)
        unit.groups.append(group)
        unit.fetched += group.fetched_bytes
        unit.promised += group.decoded_bytes
    if unit.groups:
        unit.closes = file.kept_bytes
        yield unit


def fixed_width(kind: pa.DataType) -> int:
    """Bytes of one value; of text and lists, their offset alone."""
    try:
        return max(1, kind.bit_width // 8)
    except ValueError:  # variable width
        return 4
