"""What changes a table's rows: each verb is one snapshot, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lakeflow import writing
from lakeflow.metadata import TableMetadata
from lakeflow.names import check_run_id
from lakeflow.snapshot import Snapshot
from lakeflow_io.iceberg.commit import find_snapshot
from lakeflow_io.iceberg.merge import Clauses
from lakeflow_io.iceberg.refs import MAIN, require_branch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

__all__ = ["WritableTable"]


class WritableTable(TableMetadata):
    """A table, and what adds, replaces and removes its rows."""

    def refresh(self) -> Self:
        """See what others have committed since; returns itself."""
        self._format.refresh()
        return self

    def _refreshed(self) -> IcebergTable:
        """The table as it is now, to be changed; what can't be changed isn't looked at."""
        table = self._table
        self._format.refresh()
        return table

    def append(
        self, data: Any, *, run_id: str | None = None, branch: str = MAIN, memory: int | str | None = None
    ) -> Snapshot:
        """Add rows in one snapshot.

        Args:
            data: Anything with an Arrow stream (a table, a Polars frame, a scan, a reader of any
                length), a pandas frame, a dict of columns, or a list of rows as dicts.
            run_id: Makes it safe to repeat: while a snapshot in the table's history carries this id, a
                call with it writes nothing and returns that snapshot.
            branch: What it is added to; made by `branch` before.
            memory: Bytes that it may take besides `data`, such as `"512 MiB"`; default a quarter of what
                the machine or container allows, at most 1 GiB.

        Raises:
            InputError: the run id is no plain name, or `branch` is a tag.
            NotFoundError: there is no such branch.
            SchemaError: it doesn't fit; nothing is written.
            StoreError: the store or the catalog refused. Nothing is visible, unless the catalog went away
                after it had taken the commit: with a run id it is safe to call again.
        """
        target, found = self._target(run_id, branch)
        return found or Snapshot.of(writing.append(target, data, memory))

    def overwrite(
        self,
        data: Any,
        where: str | BooleanExpression | None = None,
        *,
        run_id: str | None = None,
        branch: str = MAIN,
        memory: int | str | None = None,
    ) -> Snapshot:
        """Replace rows in one snapshot: those for which `where` is true go, those of `data` come.

        Args:
            data: As `append` takes it.
            where: As `scan` takes it; default all rows.
            run_id: As in `append`.
            branch: As in `append`; its rows are looked at, and no others.
            memory: As in `append`.

        Raises:
            CommitConflictError: another writer has meanwhile added or changed rows that may match `where`. Nothing
                is visible, nor in the cases below.
            FilterError: `where` doesn't parse or doesn't fit.
            SchemaError: the data doesn't fit.
            StoreError: as in `append`.
        """
        target, found = self._target(run_id, branch)
        return found or Snapshot.of(writing.overwrite(target, data, where, memory))

    def overwrite_partitions(
        self, data: Any, *, run_id: str | None = None, branch: str = MAIN, memory: int | str | None = None
    ) -> Snapshot | None:
        """Replace the partitions in which rows of `data` lie, in one snapshot; others stay as they are.

        Args:
            data: As `append` takes it. Without rows nothing changes.
            run_id: As in `append`.
            branch: As in `append`; its rows are looked at, and no others.
            memory: As in `append`.

        Returns:
            The snapshot; where nothing changed the newest one, if there is any.

        Raises:
            CommitConflictError: another writer has meanwhile added or changed rows of these partitions.
            SchemaError: the data doesn't fit.
            StoreError: as in `append`.
        """
        target, found = self._target(run_id, branch)
        return found or _snapshot(writing.overwrite_partitions(target, data, memory))

    def delete(
        self,
        where: str | BooleanExpression,
        *,
        mode: Literal["copy-on-write", "merge-on-read"] = "copy-on-write",
        run_id: str | None = None,
        branch: str = MAIN,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Delete the rows for which `where` is true, in one snapshot.

        Files of which all rows go are dropped by their metadata.

        Args:
            where: As `scan` takes it.
            mode: Other files with such rows are written anew without them, or, in tables of format version 2, get
                the positions of these rows beside them, which readers then leave out.
            run_id: As in `append`.
            branch: As in `append`; its rows are looked at, and no others.
            memory: As in `append`.

        Returns:
            The snapshot; where no row matched the newest one, if there is any.

        Raises:
            CommitConflictError: another writer has meanwhile added or changed rows that may match.
            FilterError: `where` doesn't parse or doesn't fit.
            UnsupportedError: the table's format has no row-level deletes.
            StoreError: as in `append`.
        """
        target, found = self._target(run_id, branch)
        return found or _snapshot(writing.delete(target, where, mode, memory))

    def upsert(
        self,
        data: Any,
        key: Sequence[str] | str,
        *,
        run_id: str | None = None,
        branch: str = MAIN,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Add rows, in place of those with the same key, in one snapshot.

        Args:
            data: As `append` takes it, with all columns.
            key: One column or several that tell which rows are the same. Null is equal to nothing.
            run_id: As in `append`.
            branch: As in `append`; its rows are looked at, and no others.
            memory: As in `append`. Beyond a third of it, `data` is set aside in a temporary file; its keys
                are held, in about twice the bytes that they have.

        Returns:
            The snapshot; without rows the newest one, if there is any.

        Raises:
            DuplicateKeyError: two rows of `data` have one key; names the first few.
            InputError: a key column has a type without certain equality, such as float64.
            CommitConflictError: another writer has meanwhile added or changed rows that may have one of the keys.
            SchemaError: the data doesn't fit, or lacks a column.
            StoreError: as in `append`.
        """
        target, found = self._target(run_id, branch)
        return found or _snapshot(writing.merge(target, data, key, Clauses("replace", "insert", "keep"), memory))

    def merge(
        self,
        data: Any,
        key: Sequence[str] | str,
        *,
        matched: Literal["update", "delete", "keep"] = "update",
        not_matched: Literal["insert", "ignore"] = "insert",
        not_matched_by_source: Literal["delete", "keep"] = "keep",
        run_id: str | None = None,
        branch: str = MAIN,
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
            branch: As in `append`; its rows are looked at, and no others.
            memory: As in `upsert`.

        Returns:
            As `upsert`.

        Raises:
            DuplicateKeyError: as in `upsert`, and all others.
        """
        clauses = Clauses(matched, not_matched, not_matched_by_source)
        target, found = self._target(run_id, branch)
        return found or _snapshot(writing.merge(target, data, key, clauses, memory))

    def _target(self, run_id: str | None, branch: str) -> tuple[writing.Target, Snapshot | None]:
        """What is to be changed, as it is now, and what the run has committed to it already."""
        self._refreshed()
        require_branch(self._table, self.name, branch)
        found = None if run_id is None else self.find_run(check_run_id(run_id), branch)
        return writing.Target(self._table, self.name, branch, run_id), found

    def find_run(self, run_id: str, branch: str = MAIN) -> Snapshot | None:
        """The snapshot that a run committed, among those that led to the branch's newest one."""
        found = find_snapshot(self._table, run_id, branch)
        return None if found is None else Snapshot.of(found)


def _snapshot(snapshot: IcebergSnapshot | None) -> Snapshot | None:
    return None if snapshot is None else Snapshot.of(snapshot)
