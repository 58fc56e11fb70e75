"""Pieces of files -> balanced shards: what one task reads.

Balancing is longest-processing-time-first (Graham 1969, "Bounds on Multiprocessing Timing
Anomalies"): the largest piece goes to the lightest shard, which is never more than 4/3 of the
best packing. Everything is ordered by size, path and offset, so a pinned snapshot always gives
the same shards.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["Shard", "balance", "group_by_partition"]


@dataclass(frozen=True, slots=True)
class Shard:
    """What one task reads: pieces of data files at a pinned snapshot. Small enough to pickle."""

    index: int
    spec: ReadSpec
    pieces: tuple[Piece, ...]

    @property
    def id(self) -> str:
        """`shard-00007`: names its marker and its output files."""
        return f"shard-{self.index:05d}"

    @property
    def bytes(self) -> int:
        """Bytes in the store."""
        return sum(piece.bytes for piece in self.pieces)

    @property
    def rows(self) -> int:
        """Rows before filtering; an estimate where files were split."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def partition(self) -> str | None:
        """The one partition that all pieces are in, or None."""
        keys = {piece.partition_key for piece in self.pieces}
        return self.pieces[0].partition if len(keys) == 1 else None


def balance(spec: ReadSpec, pieces: Sequence[Piece], n: int) -> list[Shard]:
    """At most `n` shards of about equal bytes, files split between row groups where that helps.

    Fewer come back where there are fewer row groups than `n`; none is empty.
    """
    target = max(1, sum(piece.bytes for piece in pieces) // n)
    parts = [part for piece in pieces for part in _split(piece, target)]
    parts.sort(key=lambda part: (-part.bytes, part.path, part.start))
    bins: list[list[Piece]] = [[] for _ in range(min(n, len(parts)))]
    lightest = [(0, number) for number in range(len(bins))]
    for part in parts:
        load, number = heapq.heappop(lightest)
        bins[number].append(part)
        heapq.heappush(lightest, (load + part.bytes, number))
    return _number(spec, bins)


def group_by_partition(spec: ReadSpec, pieces: Sequence[Piece]) -> list[Shard]:
    """One shard a partition, so that rows which belong together are read together."""
    groups: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: (piece.partition_key, piece.path)):
        groups.setdefault(piece.partition_key, []).append(piece)
    return _number(spec, list(groups.values()))


def _number(spec: ReadSpec, groups: list[list[Piece]]) -> list[Shard]:
    return [
        Shard(index, spec, tuple(sorted(group, key=lambda piece: (piece.path, piece.start))))
        for index, group in enumerate(groups)
    ]


def _split(piece: Piece, target: int) -> list[Piece]:
    # A manifest's first offset is the first row group's; what lies before it is the magic bytes.
    cuts = [offset for offset in piece.splits[1:] if piece.start < offset < piece.end]
    if piece.bytes <= target or not cuts:
        return [piece]
    edges = [piece.start]
    for offset in cuts:
        if offset - edges[-1] >= target:
            edges.append(offset)
    edges.append(piece.end)
    return [
        replace(
            piece,
            start=start,
            end=end,
            rows=piece.rows * (end - start) // piece.bytes,
            splits=tuple(offset for offset in piece.splits if start <= offset < end),
            footer=b"",  # would travel with each
        )
        for start, end in pairwise(edges)
    ]
