"""pyiceberg: its own scan, with its own file access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from readers.rows import arrow_rows

if TYPE_CHECKING:
    from readers.outcome import Read
    from readers.rows import Rows


def rows(metadata: str, read: Read) -> Rows:
    """A scan's rows."""
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.table import StaticTable

    table = StaticTable.from_metadata(metadata)
    scan = table.scan(row_filter=read.where or AlwaysTrue(), snapshot_id=read.snapshot)
    return arrow_rows(scan.to_arrow())
