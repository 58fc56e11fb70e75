"""The first rows of a scan, from no more of its files than it takes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from lakeflow_io.iceberg.plan import Piece

__all__ = ["first_rows"]

# A budget of one byte: the oldest row group is always admitted, so one is read at a time.
_ONE_ROW_GROUP = 1


def first_rows(
    read: Callable[..., Any], pieces: Sequence[Piece], n: int, memory: int, *, filtered: bool
) -> Iterator[pa.RecordBatch]:
    """At most `n` rows, read in runs of pieces.

    Without a filter, files that are wanted whole are read ahead at full speed, and the one that holds
    the last wanted row is read one row group at a time. With a filter nobody knows how many rows come:
    the first piece is read one row group at a time, then runs of 1, 2, 4, ... pieces at full speed,
    so that less than about twice of what it takes is read.

    Args:
        read: `read(pieces, memory=...)` gives their batches.
        pieces: What may be read, in order.
        n: Rows that are wanted.
        memory: Bytes in flight, for runs at full speed.
        filtered: Whether fewer rows may come than the pieces say.
    """
    missing, at, width = n, 0, 0
    while missing > 0 and at < len(pieces):
        run, careful = _filtered_run(pieces, at, width) if filtered else _whole_run(pieces, at, missing)
        at += len(run)
        width = max(1, 2 * width)
        with closing(read(run, memory=_ONE_ROW_GROUP if careful else memory)) as batches:
            for batch in batches:
                taken = batch.slice(0, missing)
                missing -= taken.num_rows
                yield taken
                if missing <= 0:
                    return


def _filtered_run(pieces: Sequence[Piece], at: int, width: int) -> tuple[Sequence[Piece], bool]:
    return pieces[at : at + max(1, width)], width == 0


def _whole_run(pieces: Sequence[Piece], at: int, missing: int) -> tuple[Sequence[Piece], bool]:
    end = at
    while end < len(pieces) and pieces[end].rows <= missing:
        missing -= pieces[end].rows
        end += 1
    return (pieces[at:end], False) if end > at else (pieces[at : at + 1], True)
