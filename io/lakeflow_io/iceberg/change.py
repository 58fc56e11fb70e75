"""What a snapshot adds and removes, and what others may not have done since it was planned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.errors import CommitConflictError
from lakeflow_io.iceberg.deletes.planned import unpartitioned
from lakeflow_io.iceberg.live import MissingFilesError, added_entries, rewritten_manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakeflow_io.iceberg.internals import PreparedCommit
    from lakeflow_io.iceberg.live import LiveFile

__all__ = ["Change", "prepare_change"]

_AGAIN = "nothing of this commit is visible; run again, which sees what the other writer did."


@dataclass(frozen=True, slots=True)
class Change:
    """One snapshot to be."""

    operation: Literal["append", "overwrite", "delete", "replace"]
    planned_on: int | None
    """The snapshot that was read to plan it; None where the table had none."""
    added: list[dict[str, Any]] = field(default_factory=list)
    """Descriptions of data files, as a `Writer` makes them, and of files with positions of deleted rows."""
    removed: dict[str, LiveFile] = field(default_factory=dict)
    """Data files that go, by path."""
    referred: dict[str, LiveFile] = field(default_factory=dict)
    """Data files that added deletes refer to, by path: they have to be there still."""
    conflicts: Callable[[DataFile], bool] | None = None
    """Whether a data file that another writer has added since may hold rows that this change would have looked at."""
    rows_were_read: bool = True
    """Whether rows of removed files were written anew: then a row that was deleted since would come back."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.added and not self.removed


def prepare_change(table: Table, name: str, change: Change, facts: dict[str, str]) -> PreparedCommit:
    """Check a change against the table's current snapshot and write its manifests on top of that.

    Args:
        table: Refreshed.
        name: For messages.
        change: What is to be committed.
        facts: Extra entries of the snapshot's summary.

    Raises:
        CommitConflictError: what others have committed since it was planned contradicts it.
    """
    from lakeflow_io.iceberg.describe import data_file
    from lakeflow_io.iceberg.snapshot_internals import staged_change

    for snapshot in list(_since(table, name, change.planned_on)):  # all of them first: it may be no ancestor
        _check(table, name, change, snapshot)
    try:
        rewritten_manifests(table, change.referred)
        rewritten = rewritten_manifests(table, change.removed)
    except MissingFilesError as error:
        raise CommitConflictError(
            f"Cannot commit to {name}: {error}, which this commit changes, has been removed by another writer.", _AGAIN
        ) from error
    return staged_change(table, change.operation, [data_file(table, file) for file in change.added], rewritten, facts)


def _since(table: Table, name: str, planned_on: int | None) -> Iterator[Snapshot]:
    """The snapshots that lie on top of `planned_on`, newest first."""
    snapshot = table.current_snapshot()
    while snapshot is not None and snapshot.snapshot_id != planned_on:
        yield snapshot
        parent = snapshot.parent_snapshot_id
        snapshot = table.metadata.snapshot_by_id(parent) if parent is not None else None
    if snapshot is None and planned_on is not None:
        raise CommitConflictError(
            f"Cannot commit to {name}: snapshot {planned_on}, on which it was planned, is no longer in its history.",
            "the table was rolled back or its snapshots expired; " + _AGAIN,
        )


def _check(table: Table, name: str, change: Change, snapshot: Snapshot) -> None:
    from pyiceberg.table.snapshots import Operation

    if snapshot.summary is not None and snapshot.summary.operation == Operation.REPLACE:
        return  # the same rows in other files: whether ours were among them shows when they are looked for
    if change.conflicts is not None:
        for entry in added_entries(table, snapshot):
            if change.conflicts(entry.data_file):
                raise CommitConflictError(
                    f"Cannot commit to {name}: snapshot {snapshot.snapshot_id} of another writer has added "
                    f"{entry.data_file.file_path}, which may hold rows that this commit would have to change.",
                    _AGAIN,
                )
    touched = {_place(each.file) for each in change.removed.values()} if change.rows_were_read else set()
    if touched:
        everywhere = unpartitioned(table.metadata)
        for entry in added_entries(table, snapshot, deletes=True):
            if _place(entry.data_file) in touched or entry.data_file.spec_id in everywhere:
                raise CommitConflictError(
                    f"Cannot commit to {name}: snapshot {snapshot.snapshot_id} of another writer deletes rows "
                    f"({entry.data_file.file_path}) which may lie in files that this commit has written anew.",
                    _AGAIN,
                )


def _place(file: DataFile) -> tuple[int, str]:
    return file.spec_id, repr(file.partition)
