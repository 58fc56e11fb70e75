"""What a table is and how much is in it, on one page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lakeflow.formats import TableFormat

__all__ = ["Description"]


@dataclass(frozen=True, slots=True)
class Description:
    """A table at a glance. Made by `Table.describe`, without a look at data."""

    table: str
    """`namespace.table`, or a path."""
    format: str
    """`Iceberg` or `Parquet`."""
    rows: int
    rows_are: Literal["exact", "at most", "about"]
    """`at most` where the table has row-level deletes, which count only once they are applied: reading counts
    exactly. `about` where rows of plain files are estimated."""
    files: int
    """Data files."""
    bytes: int
    """Of all files."""
    snapshots: int | None
    """How many haven't expired; None where the format has none."""
    snapshot_id: int | None
    """Of the current one; None where nothing was ever written."""
    partition_by: list[str]
    sort_by: list[str]
    location: str
    """URI of the folder."""

    @classmethod
    def of(cls, table: TableFormat) -> Description:
        """Of whatever a table is made of."""
        counts, snapshots, current = table.counts(), None, None
        if table.has_snapshots:
            metadata = table.iceberg().metadata
            snapshots, current = len(metadata.snapshots), metadata.current_snapshot_id
        return cls(
            table=table.name,
            format=table.kind,
            rows=counts.rows,
            rows_are=counts.rows_are,
            files=counts.files,
            bytes=counts.bytes,
            snapshots=snapshots,
            snapshot_id=current,
            partition_by=list(table.partition_by),
            sort_by=list(table.sort_by),
            location=table.location,
        )
