"""Tables of Iceberg: what metadata and manifests say, and pinned scans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.formats.seam import Counts
from lakeflow.origin import TableOrigin
from lakeflow.scan import Scan
from lakeflow_io.iceberg import tables
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.layout import term_of
from lakeflow_io.iceberg.plan import read_spec
from lakeflow_io.iceberg.refs import resolve
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table as IcebergTable

    from lakeflow.origin import ChangesOrigin
    from lakeflow_io.iceberg.refs import Resolved, SnapshotName

__all__ = ["IcebergFormat", "scan_resolved"]


class IcebergFormat:
    """An Iceberg table, as it was when it was opened or last refreshed.

    Args:
        name: What it is called.
        table: pyiceberg's.
    """

    kind = "Iceberg"
    has_snapshots = True

    def __init__(self, name: str, table: IcebergTable) -> None:
        self._name, self._table = name, table

    @property
    def name(self) -> str:
        """`namespace.table`; of one without a catalog, its path."""
        return self._name

    @property
    def location(self) -> str:
        """From the metadata."""
        return str(self._table.location())

    @property
    def schema(self) -> pa.Schema:
        """The current one."""
        return arrow_schema(self._table.schema())

    @property
    def partition_by(self) -> list[str]:
        """The current partition spec."""
        return [term_of(self._table.schema(), part) for part in self._table.spec().fields]

    @property
    def sort_by(self) -> list[str]:
        """The current sort order."""
        fields = self._table.sort_order().fields
        return [
            term_of(self._table.schema(), part) + (" desc" if part.direction.value == "desc" else "") for part in fields
        ]

    @property
    def properties(self) -> dict[str, str]:
        """Such as `write.parquet.compression-codec`."""
        return dict(self._table.properties)

    def iceberg(self) -> IcebergTable:
        """Pyiceberg's table."""
        return self._table

    def refresh(self) -> None:
        """See what others have committed since."""
        with translated(f"refresh {self._name}"):
            self._table.refresh()

    def counts(self) -> Counts:
        """By the current snapshot's summary; where it doesn't say, by its manifests.

        A summary counts the rows of data files, and deletes as they are written, of which several may be
        about one row and some about none: with delete files, rows are `at most`.
        """
        snapshot = self._table.current_snapshot()
        if snapshot is None:
            return Counts(0, "exact", 0, 0)
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        names = ("total-records", "total-data-files", "total-files-size", "total-delete-files")
        told = [_number(summary, name) for name in names]
        rows, files, size, deletes = told if None not in told else self._counted()
        assert rows is not None and files is not None and size is not None  # noqa: S101, PT018  (looked at just now)
        return Counts(rows, "at most" if deletes else "exact", files, size)

    def _counted(self) -> list[int | None]:
        found = self.files(None)
        data = [content == "data" for content in found["content"].to_pylist()]
        rows = sum(count for count, own in zip(found["rows"].to_pylist(), data, strict=True) if own)
        return [rows, sum(data), sum(found["bytes"].to_pylist()), len(data) - sum(data)]

    def files(self, snapshot: SnapshotName) -> pa.Table:
        """Data and delete files, with statistics by column."""
        with translated(f"list the files of {self._name}"):
            found = resolve(self._table, self._name, snapshot)
            return tables.files_table(self._table, found.snapshot, found.schema)

    def partitions(self, snapshot: SnapshotName) -> pa.Table:
        """Partitions, with what is in them."""
        with translated(f"list the partitions of {self._name}"):
            return tables.partitions_table(self._table, resolve(self._table, self._name, snapshot).snapshot)

    def scan(
        self, columns: Sequence[str] | str | None, where: str | BooleanExpression | None, snapshot: SnapshotName
    ) -> Scan:
        """A read that is pinned to a snapshot."""
        found = resolve(self._table, self._name, snapshot)
        return scan_resolved(TableOrigin(self._table, found.schema), self._name, found, columns, where)


def scan_resolved(
    origin: TableOrigin | ChangesOrigin,
    name: str,
    found: Resolved,
    columns: Sequence[str] | str | None,
    where: str | BooleanExpression | None,
) -> Scan:
    """A read of files that a state of a table names."""
    snapshot_id = None if found.snapshot is None else found.snapshot.snapshot_id
    names = [field.name for field in found.schema.fields]
    scan = Scan(origin, read_spec(origin.table, name, snapshot_id, names, None, found.schema))
    scan = scan if columns is None else scan.select(columns)
    return scan if where is None else scan.where(where)


def _number(summary: Mapping[str, str], name: str) -> int | None:
    value = summary.get(name, "")
    return int(value) if value.isdecimal() else None
