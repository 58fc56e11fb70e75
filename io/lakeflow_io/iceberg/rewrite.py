"""Which files hold rows that go, and what is left of these files, written anew: copy-on-write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow_io.iceberg.plan import read_spec
from lakeflow_io.iceberg.projection import OutputShape
from lakeflow_io.reader import read_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from numpy.typing import NDArray
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.iceberg.write import Writer

    T = TypeVar("T")

__all__ = ["each_file", "file_tables", "full_spec", "gathered", "passing_rows", "rewrite"]

# Files that are looked at side by side: each takes round trips before its first row comes.
_FILES_AT_ONCE = 4
_LEAST_MEMORY = 1024 * 1024
_GATHERED_BYTES = 32 * 1024 * 1024


def full_spec(table: Table, name: str, snapshot_id: int | None, columns: Sequence[str] | None = None) -> ReadSpec:
    """How all rows of a snapshot are read, by the table's current schema.

    Args:
        table: The table.
        name: For messages.
        snapshot_id: Which.
        columns: Default all.
    """
    schema = table.schema()
    names = [field.name for field in schema.fields] if columns is None else list(columns)
    return read_spec(table, name, snapshot_id, names, None, schema)


def passing_rows(spec: ReadSpec, predicate: BooleanExpression) -> Callable[[pa.Table], NDArray[np.bool_]]:
    """A filter as a function of rows that have the columns it looks at."""
    shape = OutputShape.of(replace(spec, filter=predicate))

    def passes(rows: pa.Table) -> NDArray[np.bool_]:
        found = shape.passing(rows.select(list(shape.filter_columns)))
        if found is None:
            return np.ones(rows.num_rows, bool)
        mask = np.zeros(rows.num_rows, bool)
        mask[found.to_numpy()] = True
        return mask

    return passes


def file_tables(spec: ReadSpec, piece: Piece, memory: int) -> Iterator[pa.Table]:
    """The rows of one file, in its order."""
    for batch in read_batches(spec, [piece], memory=memory):
        yield pa.Table.from_batches([batch])


def each_file(
    spec: ReadSpec, pieces: Sequence[Piece], look: Callable[[Piece, Iterator[pa.Table]], T], memory: int
) -> list[T]:
    """Look at the rows of each file by itself, several files side by side.

    Args:
        spec: What is read of them.
        pieces: The files.
        look: Gets a file and its rows; called in other threads.
        memory: Bytes in flight, for all of them.
    """
    own = max(_LEAST_MEMORY, memory // _FILES_AT_ONCE)

    def one(piece: Piece) -> T:
        return look(piece, file_tables(spec, piece, own))

    with ThreadPoolExecutor(_FILES_AT_ONCE, "lakeflow-look") as pool:
        jobs = [pool.submit(one, piece) for piece in pieces]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            for job in jobs:
                job.cancel()
            raise


def rewrite(
    spec: ReadSpec, pieces: Sequence[Piece], change: Callable[[pa.Table], pa.Table], writer: Writer, memory: int
) -> None:
    """Read files and write what `change` makes of their rows.

    Args:
        spec: All columns of the table.
        pieces: The files.
        change: Rows -> the rows that take their place.
        writer: Where these go.
        memory: Bytes in flight.
    """
    if pieces:
        for rows in gathered(pa.Table.from_batches([batch]) for batch in read_batches(spec, pieces, memory=memory)):
            writer.write(change(rows))


def gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Fewer and larger tables: what is done to each has a price of its own, as the hashing of keys has."""
    held: list[pa.Table] = []
    held_bytes = 0
    for rows in tables:
        held.append(rows)
        held_bytes += rows.nbytes
        if held_bytes >= _GATHERED_BYTES:
            yield pa.concat_tables(held)
            held, held_bytes = [], 0
    if held:
        yield pa.concat_tables(held)
