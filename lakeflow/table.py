"""One Iceberg table: its schema and snapshots, scans of it, appends to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow.names import check_run_id
from lakeflow.origin import TableOrigin
from lakeflow.scan import Scan
from lakeflow.stream import bounded_tables
from lakeflow_io.errors import NotFoundError
from lakeflow_io.iceberg.commit import append_staged, find_snapshot
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.plan import read_spec
from lakeflow_io.iceberg.stage import Stager
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from lakeflow.dataframe import DataFrame

__all__ = ["Snapshot", "Table"]

# Arrow bytes of a stream that are staged at one time: what an append of any length takes.
_APPEND_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed state of a table."""

    id: int
    parent_id: int | None
    committed: datetime
    """UTC."""
    operation: str
    """`append`, `overwrite`, `delete` or `replace`."""
    summary: dict[str, str]
    """What the writer recorded: counts, and `lakeflow.run-id` where a run made it."""

    @classmethod
    def of(cls, snapshot: IcebergSnapshot) -> Snapshot:
        """From pyiceberg's."""
        summary = snapshot.summary
        return cls(
            id=snapshot.snapshot_id,
            parent_id=snapshot.parent_snapshot_id,
            committed=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, tz=UTC),
            operation=str(summary.operation.value) if summary else "",
            summary=dict(summary.additional_properties) if summary else {},
        )


class Table:
    """An Iceberg table, as it was when it was opened or last written through this object."""

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
        return [_term(self._table, part) for part in self._table.spec().fields]

    @property
    def sort_by(self) -> list[str]:
        """The sort order in the words that `create_table` takes."""
        fields = self._table.sort_order().fields
        return [_term(self._table, part) + (" desc" if part.direction.value == "desc" else "") for part in fields]

    @property
    def snapshot(self) -> Snapshot | None:
        """The current snapshot; None where nothing was ever written."""
        current = self._table.current_snapshot()
        return None if current is None else Snapshot.of(current)

    def snapshots(self) -> list[Snapshot]:
        """All snapshots that haven't expired, oldest first."""
        return sorted((Snapshot.of(s) for s in self._table.snapshots()), key=lambda s: s.committed)

    def refresh(self) -> Table:
        """See what others have committed since; returns itself."""
        with translated(f"refresh {self.name}"):
            self._table.refresh()
        return self

    def scan(
        self,
        columns: Sequence[str] | str | None = None,
        where: str | BooleanExpression | None = None,
        snapshot: int | None = None,
    ) -> Scan:
        """A lazy read, pinned to one snapshot.

        Args:
            columns: Names in the wanted order; default all.
            where: `"year >= 2000 and country in ('DE', 'AT')"`, or a pyiceberg expression.
            snapshot: A snapshot's id; default the current one. An older one is read with its own schema.

        Raises:
            NotFoundError: there is no such column or snapshot.
            InputError: `columns` is empty.
            FilterError: `where` doesn't parse or doesn't fit.
        """
        current = self._table.current_snapshot()
        schema = self._table.schema()
        if snapshot is None:
            snapshot = current.snapshot_id if current else None
        else:
            found = self._table.metadata.snapshot_by_id(snapshot)
            if found is None:
                known = [str(each.snapshot_id) for each in self._table.snapshots()]
                raise NotFoundError.among("snapshot", snapshot, self.name, known)
            if found.schema_id is not None:
                schema = self._table.schemas()[found.schema_id]
        names = [field.name for field in schema.fields]
        scan = Scan(TableOrigin(self._table, schema), read_spec(self._table, self.name, snapshot, names, None, schema))
        scan = scan if columns is None else scan.select(columns)
        return scan if where is None else scan.where(where)

    def head(self, n: int = 10) -> DataFrame:
        """The first `n` rows that come, reading no more than it must.

        Raises:
            InputError: `n` is negative or no number.
        """
        return self.scan().limit(n).read(memory=1)

    def append(self, data: Any, *, run_id: str | None = None) -> Snapshot:
        """Add rows in one snapshot.

        Args:
            data: Anything with an Arrow stream (a table, a Polars frame, a scan, a reader of any
                length), a pandas frame, a dict of columns, or a list of rows as dicts.
            run_id: Makes it safe to repeat: while a snapshot in the table's history carries this id, a
                call with it writes nothing and returns that snapshot.

        Raises:
            InputError: the run id is no plain name.
            SchemaError: it doesn't fit; nothing is written.
            StoreError: the store or the catalog refused. Nothing is visible, unless the catalog went away
                after it had taken the commit: with a run id it is safe to call again.
        """
        found = self.refresh().find_run(check_run_id(run_id)) if run_id is not None else None
        if found is not None:
            return found
        stager = Stager.for_table(self._table, self.name)
        staged: list[dict[str, Any]] = []
        name = f"append-{uuid4().hex[:8]}"
        try:
            for number, part in enumerate(bounded_tables(data, _APPEND_BYTES)):
                staged += stager.write(f"{name}-{number:05d}", part)
        except BaseException:
            stager.discard(staged)
            raise
        snapshot, ours = append_staged(self._table, self.name, staged, {}, run_id)
        if not ours:
            stager.discard(staged)  # a twin with this run id was a moment faster
        return Snapshot.of(snapshot)

    def find_run(self, run_id: str) -> Snapshot | None:
        """The snapshot that a run committed, among those that led to the current one."""
        found = find_snapshot(self._table, run_id)
        return None if found is None else Snapshot.of(found)


def _term(table: IcebergTable, part: Any) -> str:
    column = table.schema().find_column_name(part.source_id) or str(part.source_id)
    name, _, width = str(part.transform).rstrip("]").partition("[")
    if name == "identity":
        return column
    return f"{name}({width}, {column})" if width else f"{name}({column})"
