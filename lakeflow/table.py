"""One Iceberg table: its schema and snapshots, scans of it, appends to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from lakeflow import writing
from lakeflow.names import check_run_id
from lakeflow.origin import TableOrigin
from lakeflow.scan import Scan
from lakeflow_io.errors import NotFoundError
from lakeflow_io.iceberg.commit import find_snapshot
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.merge import Clauses
from lakeflow_io.iceberg.plan import read_spec
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from lakeflow.dataframe import DataFrame

__all__ = ["Snapshot", "Table"]


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

    def append(self, data: Any, *, run_id: str | None = None, memory: int | str | None = None) -> Snapshot:
        """Add rows in one snapshot.

        Args:
            data: Anything with an Arrow stream (a table, a Polars frame, a scan, a reader of any
                length), a pandas frame, a dict of columns, or a list of rows as dicts.
            run_id: Makes it safe to repeat: while a snapshot in the table's history carries this id, a
                call with it writes nothing and returns that snapshot.
            memory: Bytes that it may take besides `data`, such as `"512 MiB"`; default a quarter of what
                the machine or container allows, at most 1 GiB.

        Raises:
            InputError: the run id is no plain name.
            SchemaError: it doesn't fit; nothing is written.
            StoreError: the store or the catalog refused. Nothing is visible, unless the catalog went away
                after it had taken the commit: with a run id it is safe to call again.
        """
        found = self._found(run_id)
        return found or Snapshot.of(writing.append(self._table, self.name, data, run_id=run_id, memory=memory))

    def overwrite(
        self,
        data: Any,
        where: str | BooleanExpression | None = None,
        *,
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot:
        """Replace rows in one snapshot: those for which `where` is true go, those of `data` come.

        Args:
            data: As `append` takes it.
            where: As `scan` takes it; default all rows.
            run_id: As in `append`.
            memory: As in `append`.

        Raises:
            CommitConflictError: another writer has meanwhile added or changed rows that may match `where`. Nothing
                is visible, nor in the cases below.
            FilterError: `where` doesn't parse or doesn't fit.
            SchemaError: the data doesn't fit.
            StoreError: as in `append`.
        """
        found = self._found(run_id)
        return found or Snapshot.of(
            writing.overwrite(self._table, self.name, data, where, run_id=run_id, memory=memory)
        )

    def overwrite_partitions(
        self, data: Any, *, run_id: str | None = None, memory: int | str | None = None
    ) -> Snapshot | None:
        """Replace the partitions in which rows of `data` lie, in one snapshot; others stay as they are.

        Args:
            data: As `append` takes it. Without rows nothing changes.
            run_id: As in `append`.
            memory: As in `append`.

        Returns:
            The snapshot; where nothing changed the current one, if there is any.

        Raises:
            CommitConflictError: another writer has meanwhile added or changed rows of these partitions.
            SchemaError: the data doesn't fit.
            StoreError: as in `append`.
        """
        found = self._found(run_id)
        return found or _snapshot(
            writing.overwrite_partitions(self._table, self.name, data, run_id=run_id, memory=memory)
        )

    def delete(
        self,
        where: str | BooleanExpression,
        *,
        mode: Literal["copy-on-write", "merge-on-read"] = "copy-on-write",
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Delete the rows for which `where` is true, in one snapshot.

        Files of which all rows go are dropped by their metadata.

        Args:
            where: As `scan` takes it.
            mode: Other files with such rows are written anew without them, or, in tables of format version 2, get
                the positions of these rows beside them, which readers then leave out.
            run_id: As in `append`.
            memory: As in `append`.

        Returns:
            The snapshot; where no row matched the current one, if there is any.

        Raises:
            CommitConflictError: another writer has meanwhile added or changed rows that may match.
            FilterError: `where` doesn't parse or doesn't fit.
            UnsupportedError: the table's format has no row-level deletes.
            StoreError: as in `append`.
        """
        found = self._found(run_id)
        return found or _snapshot(writing.delete(self._table, self.name, where, mode, run_id=run_id, memory=memory))

    def upsert(
        self,
        data: Any,
        key: Sequence[str] | str,
        *,
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Add rows, in place of those with the same key, in one snapshot.

        Args:
            data: As `append` takes it, with all columns.
            key: One column or several that tell which rows are the same. Null is equal to nothing.
            run_id: As in `append`.
            memory: As in `append`. Beyond a third of it, `data` is set aside in a temporary file; its keys
                are held, in about twice the bytes that they have.

        Returns:
            The snapshot; without rows the current one, if there is any.

        Raises:
            DuplicateKeyError: two rows of `data` have one key; names the first few.
            InputError: a key column has a type without certain equality, such as float64.
            CommitConflictError: another writer has meanwhile added or changed rows that may have one of the keys.
            SchemaError: the data doesn't fit, or lacks a column.
            StoreError: as in `append`.
        """
        return self._merge(data, key, Clauses("replace", "insert", "keep"), run_id, memory)

    def merge(
        self,
        data: Any,
        key: Sequence[str] | str,
        *,
        matched: Literal["update", "delete", "keep"] = "update",
        not_matched: Literal["insert", "ignore"] = "insert",
        not_matched_by_source: Literal["delete", "keep"] = "keep",
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Join `data` with the table by key, and change both sides' rows in one snapshot.

        Args:
            data: As `append` takes it: the key's columns, and any others. Columns that it hasn't keep their values
                in rows that are updated, and are null in rows that are inserted.
            key: As in `upsert`.
            matched: Of the table's rows that have a key of `data`: they get its columns, go, or stay.
            not_matched: Of rows of `data` whose key the table hasn't: they are added or left out.
            not_matched_by_source: Of the table's rows whose key `data` hasn't: they go or stay.
            run_id: As in `append`.
            memory: As in `upsert`.

        Returns:
            As `upsert`.

        Raises:
            DuplicateKeyError: as in `upsert`, and all others.
        """
        return self._merge(data, key, Clauses(matched, not_matched, not_matched_by_source), run_id, memory)

    def _merge(
        self, data: Any, key: Sequence[str] | str, clauses: Clauses, run_id: str | None, memory: int | str | None
    ) -> Snapshot | None:
        found = self._found(run_id)
        return found or _snapshot(
            writing.merge(self._table, self.name, data, key, clauses, run_id=run_id, memory=memory)
        )

    def _found(self, run_id: str | None) -> Snapshot | None:
        """What a run has committed already, in the table as it is now."""
        self.refresh()
        return None if run_id is None else self.find_run(check_run_id(run_id))

    def find_run(self, run_id: str) -> Snapshot | None:
        """The snapshot that a run committed, among those that led to the current one."""
        found = find_snapshot(self._table, run_id)
        return None if found is None else Snapshot.of(found)


def _snapshot(snapshot: IcebergSnapshot | None) -> Snapshot | None:
    return None if snapshot is None else Snapshot.of(snapshot)


def _term(table: IcebergTable, part: Any) -> str:
    column = table.schema().find_column_name(part.source_id) or str(part.source_id)
    name, _, width = str(part.transform).rstrip("]").partition("[")
    if name == "identity":
        return column
    return f"{name}({width}, {column})" if width else f"{name}({column})"
