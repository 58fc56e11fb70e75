"""Rows of several parts that are sorted by key hash, of which a range can be had as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.files.columns import one_batch
from lakeflow.cache.files.ranges import Sorted
from lakeflow_io.keyed.gather import Gatherer, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Merged"]


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows of all parts; a `Rows`."""

    parts: Sequence[Sorted]
    schema: pa.Schema
    """The columns that come out; those of each part can be cast to them."""

    def size(self, least: int, end: int) -> tuple[int, int]:
        """Return how many rows have hashes in [least, end), and their bytes."""
        sizes = [part.size(least, end) for part in self.parts]
        return sum(rows for rows, _ in sizes), sum(size for _, size in sizes)

    def within(self, least: int, end: int) -> Sorted:
        """Return the rows with hashes in [least, end); of equal hashes those of the first part first.

        Raises:
            CorruptFileError: a text column of a mapped part is damaged.
            pyarrow.ArrowException: a type that pyarrow can't take.
        """
        parts = [cut for part in self.parts if (cut := part.within(least, end)).rows.num_rows]
        if not parts:
            return Sorted(np.empty(0, dtype=np.uint64), pa.RecordBatch.from_pylist([], schema=self.schema))
        if len(parts) == 1 and parts[0].rows.schema.equals(self.schema):
            return parts[0]
        hashes = np.concatenate([part.hashes for part in parts])
        places = [place_of(number, np.arange(len(part.hashes))) for number, part in enumerate(parts)]
        order = np.argsort(hashes, kind="stable")  # merges the runs that the parts already are
        batches = [
            one_batch(pa.Table.from_batches([part.rows]).select(self.schema.names).cast(self.schema)) for part in parts
        ]
        columns = Gatherer(self.schema, batches).gather(np.concatenate(places)[order], self.schema.names)
        return Sorted(hashes[order], pa.RecordBatch.from_arrays(columns, schema=self.schema))
