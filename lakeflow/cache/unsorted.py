"""Rows in memory in the order in which they came, of which a range of key hashes can be had in order.

Only hashes are sorted, and with each where its row lies; the row itself is copied once, to where it is written from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.columns import one_batch
from lakeflow.cache.hashing import hash_keys
from lakeflow.cache.ranges import Sorted, span
from lakeflow_io.keyed.gather import Gatherer, place_of
from lakeflow_io.keyed.order import sort_hashes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lakeflow.cache.keys import KeyColumn

__all__ = ["MOST_BYTES", "MOST_ROWS", "Unsorted"]

MOST_BYTES = 2 << 30
"""Of a table that may stay where it is until it is written. Beyond, what its order takes would count, and a mapped one
may be larger than memory, where rows in any order are a page each."""
MOST_ROWS = 1 << 26
"""Of such a table: their order takes 1 GiB."""
_MOST_CHUNKS = 1024
"""Of a table, up to which rows are gathered from it as it is: 500 of them take as long as 4. To join them is one more
copy of all rows, but each of very many costs more than that of its own."""
_RUN_ROWS = 1 << 20
"""Sorted at once: 16 MB of hashes and places, 21 ms; four times as many take seven times as long. To merge four of them
takes 11 ms a million rows."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Some rows by hash."""

    hashes: NDArray[np.uint64]
    places: NDArray[np.int64]

    def within(self, least: int, end: int) -> _Run:
        rows = span(self.hashes, least, end)
        return _Run(self.hashes[rows], self.places[rows])


_EMPTY = _Run(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Unsorted:
    """The rows of a table; a `Rows`."""

    schema: pa.Schema
    batches: list[pa.RecordBatch]
    runs: list[_Run]
    row_bytes: float
    """Of Arrow memory, in the mean."""
    gatherer: Gatherer

    @classmethod
    def fits(cls, table: pa.Table) -> bool:
        """Whether a table may stay where it is, without another copy, and its order beside it."""
        chunks = max((column.num_chunks for column in table.columns), default=0)
        return table.nbytes <= MOST_BYTES and table.num_rows <= MOST_ROWS and chunks <= _MOST_CHUNKS

    @classmethod
    def of(cls, table: pa.Table, key: KeyColumn, threads: int = 1) -> Unsorted:
        """Hash the keys of a table and sort the hashes, 16 bytes a row.

        Args:
            table: Of stored form, of at most `MOST_BYTES`.
            key: Its key.
            threads: How many do that at once.

        Raises:
            CorruptFileError: a text column is damaged.
            pyarrow.ArrowException: its chunks can't be joined.
        """
        batches = table.to_batches()
        if not 0 < len(batches) <= _MOST_CHUNKS:
            batches = [one_batch(table)]

        def run(piece: tuple[int, int]) -> _Run:
            number, start = piece
            rows = batches[number].slice(start, _RUN_ROWS)
            places = place_of(number, np.arange(start, start + rows.num_rows))
            return _Run(*sort_hashes(hash_keys(key.keys_of(rows)), places))

        starts = [
            (number, start) for number, each in enumerate(batches) for start in range(0, each.num_rows, _RUN_ROWS)
        ]
        with ThreadPoolExecutor(threads) as pool:
            runs = list(pool.map(run, starts))
        row_bytes = table.nbytes / max(table.num_rows, 1)
        return cls(table.schema, batches, runs, row_bytes, Gatherer(table.schema, batches))

    def size(self, least: int, end: int) -> tuple[int, int]:
        """Return how many rows have hashes in [least, end), and about how many bytes these are."""
        rows = sum(len(run.within(least, end).hashes) for run in self.runs)
        return rows, int(rows * self.row_bytes)

    def within(self, least: int, end: int) -> Sorted:
        """Return the rows with hashes in [least, end), gathered.

        Raises:
            CorruptFileError: a text column is damaged.
            pyarrow.ArrowException: a type that pyarrow can't take.
        """
        runs = [_EMPTY, *(run.within(least, end) for run in self.runs)]
        hashes, places = np.concatenate([run.hashes for run in runs]), np.concatenate([run.places for run in runs])
        if len(self.runs) > 1:
            order = np.argsort(hashes, kind="stable")  # merges the runs
            hashes, places = hashes[order], places[order]
        columns = self.gatherer.gather(places, self.schema.names)
        return Sorted(hashes, pa.RecordBatch.from_arrays(columns, schema=self.schema))
