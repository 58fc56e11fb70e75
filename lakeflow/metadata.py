"""What a table's metadata says: its schema, layout, snapshots, files. `Table` adds what reads and writes rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.snapshot import Snapshot
from lakeflow_io.iceberg import tables
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.layout import term_of
from lakeflow_io.iceberg.refs import SnapshotName, resolve
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table as IcebergTable

__all__ = ["TableMetadata"]


class TableMetadata:
    """An Iceberg table's metadata, as it was when it was opened or last written through this object.

    `snapshots` are objects, since code goes through them; `files`, `manifests`, `partitions`, `refs` and
    `history` are Arrow tables, since queries do.
    """

    def __init__(self, name: str, table: IcebergTable) -> None:
        self.name = name
        self._table = table

    def __repr__(self) -> str:
        return f"Table({self.name!r} at {self.location})"

    @property
    def iceberg(self) -> IcebergTable:
        """The pyiceberg table beneath, for what lakeflow doesn't do."""
        return self._table

    @property
    def location(self) -> str:
        """URI of the table's folder."""
        return str(self._table.location())

    @property
    def schema(self) -> pa.Schema:
        """The current schema."""
        return arrow_schema(self._table.schema())

    @property
    def partition_by(self) -> list[str]:
        """The partition spec in the words that `create_table` takes."""
        return [term_of(self._table.schema(), part) for part in self._table.spec().fields]

    @property
    def sort_by(self) -> list[str]:
        """The sort order in the words that `create_table` takes."""
        fields = self._table.sort_order().fields
        return [
            term_of(self._table.schema(), part) + (" desc" if part.direction.value == "desc" else "") for part in fields
        ]

    @property
    def properties(self) -> dict[str, str]:
        """The table's properties, such as `write.parquet.compression-codec`."""
        return dict(self._table.properties)

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
        with translated(f"list the files of {self.name}"):
            found = resolve(self._table, self.name, snapshot)
            return tables.files_table(self._table, found.snapshot, found.schema)

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
        with translated(f"list the partitions of {self.name}"):
            return tables.partitions_table(self._table, resolve(self._table, self.name, snapshot).snapshot)

    def refs(self) -> pa.Table:
        """Branches and tags, one a row: name, type, snapshot, retention."""
        return tables.refs_table(self._table)

    def history(self) -> pa.Table:
        """Which snapshot became the current one when, one a row, oldest first."""
        return tables.history_table(self._table)
