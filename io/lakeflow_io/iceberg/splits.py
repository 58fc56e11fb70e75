"""Row groups from footers: of files whose manifests don't tell them, and of plain files, which have none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from lakeflow_io.errors import DataError
from lakeflow_io.formats import read_contents
from lakeflow_io.parquet.footer import parse_footer, read_footer
from lakeflow_io.parquet.ranges import row_group_start
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.immutable import ImmutableCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakeflow_io.formats import Contents
    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.parquet.footer import Footer

__all__ = ["RowGroups", "exact", "read_side_by_side", "with_splits"]

_THREADS = 16  # each waits for a request or two of a few kilobytes

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RowGroups:
    """What a footer tells of its file's row groups, or stripes."""

    rows: int
    """Of the file."""
    splits: tuple[int, ...]
    """Where they begin, ascending."""
    split_rows: tuple[int, ...]
    """The rows of each; none where they lie in the file in another order than they are counted in."""

    @classmethod
    def of(cls, footer: Footer) -> RowGroups:
        """Those of a Parquet footer."""
        groups = [footer.metadata.row_group(number) for number in range(footer.metadata.num_row_groups)]
        starts = [row_group_start(group) for group in groups]
        in_order = all(one < other for one, other in pairwise(starts))
        counts = tuple(group.num_rows for group in groups) if in_order else ()
        return cls(footer.metadata.num_rows, tuple(sorted(starts)), counts)

    @classmethod
    def of_contents(cls, contents: Contents) -> RowGroups:
        """Those of a file that isn't Parquet."""
        counts = tuple(rows for rows, _ in contents.groups)
        return cls(sum(counts), tuple(where.start for _, where in contents.groups), counts)


def with_splits(spec: ReadSpec, pieces: Sequence[Piece], largest: int) -> Sequence[Piece]:
    """`pieces`, those of more than `largest` bytes with their row groups; the same object where all are known.

    Avro files have none: they are fetched whole, and so never cut.

    Raises:
        DataError: a footer can't be read; names its file.
        StoreError: the store failed.
    """
    unknown = [each for each in pieces if each.bytes > largest and not each.splits and each.format != "AVRO"]
    if not unknown:
        return pieces
    known = _row_groups(spec, unknown)
    return [_told(piece, known[piece.path]) if piece.path in known else piece for piece in pieces]


def exact(spec: ReadSpec, pieces: Sequence[Piece]) -> list[Piece]:
    """`pieces` with the `rows` and `first_row` of their files' footers, read where nobody has yet."""
    unknown = [piece for piece in pieces if not piece.split_rows and not (piece.is_whole and spec.match == "id")]
    known = _row_groups(spec, unknown)
    return [_counted(piece, known[piece.path]) if piece.path in known else piece for piece in pieces]


def _told(piece: Piece, groups: RowGroups) -> Piece:
    # Other files than Parquet have their manifest's rows held against them when they are read.
    rows = groups.rows if piece.format == "PARQUET" else piece.rows
    return replace(piece, rows=rows, splits=groups.splits, split_rows=groups.split_rows)


def _counted(piece: Piece, groups: RowGroups) -> Piece:
    if piece.is_whole:
        return _told(piece, groups)
    if not groups.split_rows:  # where its row groups lie says nothing about their places in the file
        return piece
    counts = list(zip(groups.splits, groups.split_rows, strict=True))
    own = tuple(rows for start, rows in counts if piece.start <= start < piece.end)
    before = sum(rows for start, rows in counts if start < piece.start)
    splits = tuple(start for start, _ in counts if piece.start <= start < piece.end)
    return replace(piece, rows=sum(own), first_row=before, splits=splits, split_rows=own)


def _row_groups(spec: ReadSpec, pieces: Sequence[Piece]) -> dict[str, RowGroups]:
    """By path, from footers that are remembered or read side by side."""
    if not pieces:
        return {}
    transport = open_transport(spec.store)
    # A folder's files may be written again under their names.
    cache = ImmutableCache("footer", spec.store) if spec.match == "id" else None
    files = {piece.path: piece for piece in pieces}
    found = [(path, piece.file_size) for path, piece in files.items() if piece.format == "PARQUET"]
    remembered = dict(zip(found, cache.find(found), strict=True)) if cache is not None else {}

    def read(file: Piece) -> RowGroups:
        path, size = file.path, file.file_size
        if file.format != "PARQUET":
            return RowGroups.of_contents(read_contents(transport, path, size, file.format))
        known = remembered.get((path, size))
        try:
            if known is not None:
                return RowGroups.of(parse_footer(path, size, memoryview(known)))
        except DataError:
            pass  # what was remembered is wrong: the file itself decides
        footer = read_footer(transport, path, size)
        if cache is not None:
            cache.keep(path, size, footer.encoded)
        return RowGroups.of(footer)

    groups = read_side_by_side(read, list(files.values()))
    if cache is not None:
        cache.save()
    return dict(zip(files, groups, strict=True))


def read_side_by_side(read: Callable[..., _T], *files: Iterable[object]) -> list[_T]:
    """`read` for each file, many at once."""
    with ThreadPoolExecutor(_THREADS, "lakeflow-footers") as threads:
        return list(threads.map(read, *files))
