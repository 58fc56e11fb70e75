"""What a table's metadata says: its schema, layout, snapshots, files. `Table` adds what reads and writes rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.description import Description
from lakeflow.snapshot import Snapshot
from lakeflow_io.iceberg import tables
from lakeflow_io.iceberg.refs import SnapshotName, resolve
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table as IcebergTable

    from lakeflow.formats import TableFormat

__all__ = ["TableMetadata"]


class TableMetadata:
    """A table's metadata, as it was when it was opened or last written through this object.

    `snapshots` are objects, since code goes through them; `files`, `manifests`, `partitions`, `refs` and
    `history` are Arrow tables, since queries do. What needs Iceberg's metadata goes through `_table`, which a
    folder of Parquet files refuses.
    """

    def __init__(self, made_of: TableFormat) -> None:
        self._format = made_of

    def __repr__(self) -> str:
        return f"Table({self.name!r} at {self.location})"

    @property
    def name(self) -> str:
        """`namespace.table`; of a table without a catalog, its path."""
        return self._format.name

    @property
    def iceberg(self) -> IcebergTable:
        """The pyiceberg table beneath, for what lakeflow doesn't do.

        Raises:
            InputError: it is a folder of Parquet files. So does whatever needs snapshots, or writes.
        """
        return self._format.iceberg()

    @property
    def _table(self) -> IcebergTable:
        return self._format.iceberg()

    @property
    def location(self) -> str:
        """URI of the table's folder."""
        return self._format.location

    @property
    def schema(self) -> pa.Schema:
        """The current schema."""
        return self._format.schema

    @property
    def partition_by(self) -> list[str]:
        """The partition spec in the words that `create_table` takes."""
        return list(self._format.partition_by)

    @property
    def sort_by(self) -> list[str]:
        """The sort order in the words that `create_table` takes."""
        return list(self._format.sort_by)

    @property
    def properties(self) -> dict[str, str]:
        """The table's properties, such as `write.parquet.compression-codec`."""
        return dict(self._format.properties)

    def describe(self) -> Description:
        """What it is, where it lies, how it is laid out, and how much there is, without a look at data."""
        return Description.of(self._format)

    @property
    def snapshot(self) -> Snapshot | None:
        """The current snapshot; None where nothing was ever written."""
        current = self._table.current_snapshot()
        return None if current is None else Snapshot.of(current)

    def snapshots(self) -> list[Snapshot]:
        """All snapshots that haven't expired, oldest first."""
        return sorted((Snapshot.of(s) for s in self._table.snapshots()), key=lambda s: s.committed)

    def files(self, snapshot: SnapshotName = None) -> pa.Table:
        """Data and delete files of a snapshot, one a row, with counts and bounds by column.

        Raises:
            NotFoundError: there is no such snapshot.
        """
        return self._format.files(snapshot)

    def manifests(self, snapshot: SnapshotName = None) -> pa.Table:
        """Manifests of a snapshot, one a row, with counts and the range of each partition field.

        Raises:
            NotFoundError: there is no such snapshot.
        """
        with translated(f"list the manifests of {self.name}"):
            return tables.manifests_table(self._table, resolve(self._table, self.name, snapshot).snapshot)

    def partitions(self, snapshot: SnapshotName = None) -> pa.Table:
        """Partitions of a snapshot, one a row, with rows, files, bytes and the last change.

        Raises:
            NotFoundError: there is no such snapshot.
        """
        return self._format.partitions(snapshot)

    def refs(self) -> pa.Table:
        """Branches and tags, one a row: name, type, snapshot, retention."""
        return tables.refs_table(self._table)

    def history(self) -> pa.Table:
        """Which snapshot became the current one when, one a row, oldest first."""
        return tables.history_table(self._table)
