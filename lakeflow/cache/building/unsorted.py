"""Rows in memory in the order in which they came, of which a range of key hashes can be had in order.

Only hashes are sorted before, and with each where its row lies, some rows at a time. Rows of a range are copied twice:
in each of these runs into the order of their hashes, and from there to where they are written from. Both times they are
read where the processor's caches have them, so this takes half the time of one copy from all over the table.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.building.merged import Merged
from lakeflow.cache.files.columns import one_batch
from lakeflow.cache.files.ranges import Sorted, span
from lakeflow.cache.keys.hashing import hash_keys
from lakeflow_io.keyed.gather import Gatherer, place_of
from lakeflow_io.keyed.order import sort_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import KeyColumn

__all__ = ["MOST_BYTES", "MOST_ROWS", "Unsorted"]

MOST_BYTES = 2 << 30
"""Of a table that may stay where it is until it is written. Beyond, what its order takes would count, and a mapped one
may be larger than memory, where rows in any order are a page each."""
MOST_ROWS = 1 << 26
"""Of such a table: their order takes 1 GiB."""
_RUN_ROWS = 1 << 20
"""Sorted at once: a column of four bytes is 4 MiB then, and stays in the caches while it is read in any order. Ten
million rows of 55 bytes took 1.5 s of processor time, as with half as many a run; with an eighth 1.7 s, and 2.0 s where
rows were gathered from all over the table."""
_MOST_CHUNKS = 64
"""Of a run, up to which rows are gathered from them as they are; each of very many costs more than a copy."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Some rows, by hash."""

    hashes: NDArray[np.uint64]
    places: NDArray[np.int64]
    gatherer: Gatherer

    @classmethod
    def of(cls, batches: list[pa.RecordBatch], key: KeyColumn) -> _Run:
        """Sort the hashes of their keys."""
        if len(batches) > _MOST_CHUNKS:
            batches = [one_batch(pa.Table.from_batches(batches))]
        places = [place_of(number, np.arange(batch.num_rows)) for number, batch in enumerate(batches)]
        hashes = [hash_keys(key.keys_of(batch)) for batch in batches]
        ordered = sort_hashes(np.concatenate(hashes), np.concatenate(places))
        return cls(*ordered, Gatherer(batches[0].schema, batches))

    def within(self, least: int, end: int, schema: pa.Schema) -> Sorted:
        """Return the rows with hashes in [least, end), gathered."""
        rows = span(self.hashes, least, end)
        columns = self.gatherer.gather(self.places[rows], schema.names)
        return Sorted(self.hashes[rows], pa.RecordBatch.from_arrays(columns, schema=schema))


@dataclass(frozen=True, slots=True)
class Unsorted:
    """The rows of a table; a `Rows`."""

    table: pa.Table
    runs: list[_Run]

    @classmethod
    def fits(cls, table: pa.Table) -> bool:
        """Whether a table may stay where it is, and its order beside it."""
        return table.nbytes <= MOST_BYTES and table.num_rows <= MOST_ROWS

    @classmethod
    def of(cls, table: pa.Table, key: KeyColumn, threads: int = 1) -> Unsorted:
        """Hash the keys of a table and sort the hashes, 16 bytes a row.

        Args:
            table: Of stored form.
            key: Its key.
            threads: How many do that at once.

        Raises:
            CorruptFileError: a text column is damaged.
            pyarrow.ArrowException: its chunks can't be joined.
        """
        with ThreadPoolExecutor(threads) as pool:
            return cls(table, list(pool.map(lambda batches: _Run.of(batches, key), _cut(table))))

    def size(self, least: int, end: int) -> tuple[int, int]:
        """Return how many rows have hashes in [least, end), and about how many bytes these are."""
        spans = [span(run.hashes, least, end) for run in self.runs]
        rows = sum(each.stop - each.start for each in spans)
        return rows, rows * self.table.nbytes // max(self.table.num_rows, 1)

    def within(self, least: int, end: int) -> Sorted:
        """Return the rows with hashes in [least, end), gathered.

        Raises:
            CorruptFileError: a text column is damaged.
            pyarrow.ArrowException: a type that pyarrow can't take.
        """
        schema = self.table.schema
        return Merged([run.within(least, end, schema) for run in self.runs], schema).within(least, end)


def _cut(table: pa.Table) -> Iterator[list[pa.RecordBatch]]:
    """Yield batches that have as many rows together as are sorted at once, or a part of one that has more."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in table.to_batches(max_chunksize=_RUN_ROWS):
        if waiting and rows + batch.num_rows > _RUN_ROWS:
            yield waiting
            waiting, rows = [], 0
        waiting.append(batch)
        rows += batch.num_rows
    if waiting:
        yield waiting
