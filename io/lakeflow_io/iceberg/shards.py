"""Pieces of files -> balanced shards: what one task reads.

A shard is told by files and offsets alone, which come from manifests, and `packing` looks at nothing else
and at files in the order of their paths: a pinned snapshot gives the same shards in every process.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.iceberg.packing import pack
from lakeflow_io.iceberg.splits import exact, with_splits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakeflow_io.iceberg.packing import Run
    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["Shard", "balance", "cut", "group_by_partition"]

# A shard this much above the mean is worth a look at the footers of files that could be cut ...
_UNEVEN = 1.1
# ... down to what makes it uneven by no more than that.
_FINE = 10

# Parts of a shard that was too large for its worker: each then takes a sixteenth of its memory, about, and a shard
# of any size is done or given up after so many attempts.
_MOST_PARTS = 16


@dataclass(frozen=True, slots=True)
class Shard:
    """What one task reads: pieces of data files at a pinned snapshot.

    Small, and whole by itself: it can be pickled alone. In a list of shards what they share (how to read
    them, delete files, names of partitions) is pickled once.
    """

    index: int
    spec: ReadSpec
    """How to read them; one for all shards of a scan."""
    pieces: tuple[Piece, ...]
    """With the deletes of their files, and the position of their first row in it."""
    part: tuple[int, int] | None = None
    """Which part of a shard this is, from 1 on, and of how many; None for a whole one."""

    def __reduce__(self) -> tuple[Any, ...]:
        """By its values: half the time of what dataclasses do themselves."""
        return Shard, (self.index, self.spec, self.pieces, self.part)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """What tells it from others, as Dask wants to know: its files, and what is read of them."""
        spec = self.spec
        columns = tuple((field.field_id, field.name) for field in spec.columns.fields)
        return spec.source, columns, str(spec.filter), [(each.path, each.start, each.end) for each in self.pieces]

    @property
    def id(self) -> str:
        """`shard-00007`, or `shard-00007.2of4` for a part: names its marker and its output files."""
        part = "" if self.part is None else f".{self.part[0]}of{self.part[1]}"
        return f"shard-{self.index:05d}{part}"

    @property
    def bytes(self) -> int:
        """Bytes in the store."""
        return sum(piece.bytes for piece in self.pieces)

    @property
    def rows(self) -> int:
        """Rows before deletes and filtering; an estimate where files were split."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def partition(self) -> str | None:
        """The one partition that all pieces are in, or None."""
        keys = {piece.partition_key for piece in self.pieces}
        return self.pieces[0].partition if len(keys) == 1 else None

    def split(self) -> tuple[Shard, ...]:
        """Parts of about equal bytes, cut between row groups: for a shard that is too large for its worker.

        Where the manifest doesn't tell where row groups begin, the files' footers are read.

        Returns:
            At most 16, the same for the same shard, with all its rows once. None where there is one row group
            only, and for what is a part already.

        Raises:
            DataError, StoreError: a footer can't be read.
        """
        if self.part is not None:
            return ()
        parts = balance(self.spec, with_splits(self.spec, self.pieces, 0), _MOST_PARTS)
        if len(parts) < 2:  # noqa: PLR2004  (a part and another one)
            return ()
        return tuple(
            replace(self, pieces=each.pieces, part=(number, len(parts))) for number, each in enumerate(parts, 1)
        )

    def exact(self) -> Shard:
        """The same shard, whose pieces' `rows` and `first_row` are those of their files' footers.

        Reads the footers of files that were split and whose footers haven't been read.

        Raises:
            DataError: a footer can't be read; names its file.
            StoreError: the store failed.
        """
        return replace(self, pieces=tuple(exact(self.spec, self.pieces)))


def cut(spec: ReadSpec, pieces: Sequence[Piece], n: int, by: Literal["bytes", "rows"]) -> list[Shard]:
    """At most `n` balanced shards, reading as few footers as that takes.

    Footers are read where shards come out uneven without, of files whose row groups nobody has told: plain
    files, and those of writers that leave split offsets out of manifests. First of those that are larger
    than a shard; if that isn't enough, of those down to a tenth of one.

    Raises:
        DataError: a footer can't be read; names its file.
        StoreError: the store failed.
    """
    shards = balance(spec, pieces, n, by)
    mean = sum(piece.bytes for piece in pieces) // n
    for largest in (mean, mean // _FINE):
        weights = [shard.bytes if by == "bytes" else shard.rows for shard in shards]
        if max(weights, default=0) * n <= _UNEVEN * sum(weights):
            break
        told = with_splits(spec, pieces, largest)
        if told is not pieces:
            pieces, shards = told, balance(spec, told, n, by)
    return shards


def balance(spec: ReadSpec, pieces: Sequence[Piece], n: int, by: Literal["bytes", "rows"] = "bytes") -> list[Shard]:
    """At most `n` shards of about equal bytes or rows, files split between row groups where that helps.

    No shard has more than the mean and the largest row group (or file whose row groups aren't known)
    together. Fewer come back where there are fewer of these than `n`; none is empty.

    Args:
        spec: How to read them.
        pieces: Whole files, in any order.
        n: Shards at most.
        by: What is about equal. The rows of a row group are estimated by its bytes where no footer was read.
    """
    files = [_Groups(piece) for piece in sorted(pieces, key=lambda piece: (piece.path, piece.start))]
    bins = pack([each.bytes() if by == "bytes" else each.rows() for each in files], n)
    return _number(spec, ([files[run.file].part(run) for run in runs] for runs in bins))


def group_by_partition(spec: ReadSpec, pieces: Sequence[Piece]) -> list[Shard]:
    """One shard a partition, so that rows which belong together are read together."""
    groups: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: (piece.partition_key, piece.path, piece.start)):
        groups.setdefault(piece.partition_key, []).append(piece)
    return _number(spec, groups.values())


def _number(spec: ReadSpec, groups: Iterable[list[Piece]]) -> list[Shard]:
    return [Shard(index, spec, tuple(group)) for index, group in enumerate(groups)]


class _Groups:
    """What is known of a file's row groups."""

    __slots__ = ("_before", "_edges", "_piece")

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        # The first offset is the first row group's; what lies before it is the magic bytes.
        cuts = [offset for offset in piece.splits[1:] if piece.start < offset < piece.end]
        self._edges = [piece.start, *cuts, piece.end]
        told = len(piece.split_rows) == len(self._edges) - 1
        # Rows of the row groups, added up, where they were told.
        self._before = [0, *accumulate(piece.split_rows)] if told else []

    def bytes(self) -> list[int]:
        """Bytes of the row groups, added up."""
        return self._added_up(lambda edge: edge - self._piece.start)

    def rows(self) -> list[int]:
        """Their rows, added up; each counts as one at least."""
        if self._before:
            return [0, *accumulate(max(1, count) for count in self._piece.split_rows)]
        return self._added_up(self._share)

    def _added_up(self, upto: Callable[[int], int]) -> list[int]:
        found = [0]
        for edge in self._edges[1:]:
            found.append(max(found[-1] + 1, upto(edge)))
        return found

    def _share(self, edge: int) -> int:
        """About how many rows begin before a byte: all of them at the end."""
        piece = self._piece
        return piece.rows * (edge - piece.start) // max(1, piece.bytes)

    def part(self, run: Run) -> Piece:
        """The piece of the file that some of its row groups are."""
        piece, edges, before = self._piece, self._edges, self._before
        if run.first == 0 and run.behind == len(edges) - 1:
            return piece
        start, end = edges[run.first], edges[run.behind]
        first_row = piece.first_row if run.first == 0 else None
        if before and piece.first_row is not None:
            first_row = piece.first_row + before[run.first]
        return replace(
            piece,
            start=start,
            end=end,
            rows=before[run.behind] - before[run.first] if before else self._share(end) - self._share(start),
            first_row=first_row,
            splits=piece.splits[bisect_left(piece.splits, start) : bisect_left(piece.splits, end)],
            split_rows=piece.split_rows[run.first : run.behind] if before else (),
            footer=b"",  # would travel with each
        )
