"""Cuts a version into chunks of rows, in one order, from any row on: so that a push can go on where one stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow.cache.files.columns import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["chunks"]


def chunks(opened: OpenVersion, first: int, most_rows: int, most_bytes: int) -> Iterator[pa.Table]:
    """Yield the rows of a version, those of the mapped shards one after the other.

    Args:
        opened: The version; its rows always have the same order.
        first: How many rows to leave out at the start.
        most_rows: Of a chunk.
        most_bytes: Of a chunk, in Arrow; one row may be longer.
    """
    for shard in opened.shards:
        rows = shard.rows.num_rows
        for start in range(min(first, rows), rows, most_rows):
            block = shard.whole().rows.slice(start, most_rows)
            yield from pieces(pa.Table.from_batches([block]), most_bytes)
        first = max(first - rows, 0)
