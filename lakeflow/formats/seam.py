"""The seam between a `Table` and what it is made of.

It has what can be asked of any table that is read. Whatever needs Iceberg's metadata (snapshots,
branches, commits) begins with `iceberg()`, which other formats refuse: so the refusal stands in one place
and not in every method of `Table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table as IcebergTable

    from lakeflow.scan import Scan
    from lakeflow_io.iceberg.refs import SnapshotName

__all__ = ["Counts", "TableFormat"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is in a table, as far as it can be told without reading data."""

    rows: int
    rows_are: Literal["exact", "at most", "about"]
    """`at most` where row-level deletes aren't counted, `about` where rows are estimated from bytes."""
    files: int
    """Data files."""
    bytes: int
    """Of all files."""


class TableFormat(Protocol):
    """What a table is made of. `IcebergFormat` and `HiveFormat` are the two there are."""

    @property
    def name(self) -> str:
        """What the table is called in messages and runs: `namespace.table`, or its path."""
        ...

    @property
    def kind(self) -> str:
        """What it is, for people."""
        ...

    @property
    def has_snapshots(self) -> bool:
        """Whether `iceberg` gives a table."""
        ...

    @property
    def location(self) -> str:
        """URI of the table's folder."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """All columns."""
        ...

    @property
    def partition_by(self) -> list[str]:
        """Columns and transforms, in the words that `create_table` takes."""
        ...

    @property
    def sort_by(self) -> list[str]:
        """The columns that each file is sorted by, in the same words."""
        ...

    @property
    def properties(self) -> dict[str, str]:
        """The table's own."""
        ...

    def iceberg(self) -> IcebergTable:
        """The pyiceberg table beneath.

        Raises:
            InputError: there is none; says what to do.
        """
        ...

    def refresh(self) -> None:
        """See what has changed since."""
        ...

    def counts(self) -> Counts:
        """How much there is, without a look at data."""
        ...

    def files(self, snapshot: SnapshotName, /) -> pa.Table:
        """One row a file."""
        ...

    def partitions(self, snapshot: SnapshotName, /) -> pa.Table:
        """One row a partition."""
        ...

    def scan(
        self,
        columns: Sequence[str] | str | None,
        where: str | BooleanExpression | None,
        snapshot: SnapshotName,
        /,
    ) -> Scan:
        """A lazy read."""
        ...
