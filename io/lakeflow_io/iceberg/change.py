"""What a snapshot adds and removes, and what others may not have done since it was planned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.errors import CommitConflictError
from lakeflow_io.iceberg.deletes.planned import unpartitioned
from lakeflow_io.iceberg.live import MissingFilesError, added_entries, outdated_deletes, rewritten_manifests
from lakeflow_io.iceberg.refs import MAIN, ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakeflow_io.iceberg.file_match import FileFacts
    from lakeflow_io.iceberg.live import Rewritten
    from lakeflow_io.iceberg.manifests.planned import LiveFile
    from lakeflow_io.iceberg.pack import PackedManifest
    from lakeflow_io.iceberg.update import Update

__all__ = ["Change", "prepare_change"]

_AGAIN = "nothing of this commit is visible; run again, which sees what the other writer did."


@dataclass(frozen=True, slots=True)
class Change:
    """One snapshot to be."""

    operation: Literal["append", "overwrite", "delete", "replace"]
    planned_on: int | None = None
    """The snapshot that was read to plan it; None where there was none, and of an append, which reads none."""
    added: list[dict[str, Any]] = field(default_factory=list)
    """Descriptions of data files, as a `Writer` makes them, and of files with positions of deleted rows."""
    removed: dict[str, LiveFile] = field(default_factory=dict)
    """Data files that go, by path."""
    referred: dict[str, LiveFile] = field(default_factory=dict)
    """Data files that added deletes refer to, by path: they have to be there still."""
    conflicts: Callable[[FileFacts], bool] | None = None
    """Whether a data file that another writer has added since may hold rows that this change would have looked at."""
    rows_were_read: bool = True
    """Whether rows of removed files were written anew: then a row that was deleted since would come back."""
    branch: str = MAIN
    """What it is committed to; it is there already."""
    packed: Sequence[PackedManifest] = ()
    """Manifests of more data files that come, which are written already."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.added and not self.removed and not self.packed


def prepare_change(table: Table, name: str, change: Change, facts: Mapping[str, str]) -> Update:
    """Check a change against its branch's newest snapshot and write its manifests on top of that.

    Args:
        table: As it was last seen.
        name: For messages.
        change: What is to be committed.
        facts: Extra entries of the snapshot's summary.

    Raises:
        CommitConflictError: what others have committed since it was planned contradicts it.
    """
    from lakeflow_io.iceberg.describe import data_file
    from lakeflow_io.iceberg.snapshot_internals import NewSnapshot, staged_snapshots

    rewritten = _rewritten(table, name, change)
    added = [data_file(table, file) for file in change.added]
    new = NewSnapshot(change.operation, added, facts, rewritten, change.packed)
    return staged_snapshots(table, change.branch, [new])


def _rewritten(table: Table, name: str, change: Change) -> Rewritten:
    """The manifests that name files that go, where nothing contradicts that."""
    if change.conflicts is None and not change.removed and not change.referred:
        return {}  # nothing contradicts an append
    head = table.metadata.snapshot_by_name(change.branch)
    since = list(_since(table, name, head, change.planned_on))  # all of them first: it may be no ancestor
    for snapshot in since:
        _check(table, name, change, snapshot)
    manifests = head.manifests(table.io) if head is not None else []
    try:
        if since:
            rewritten_manifests(table, manifests, change.referred)
        rewritten = rewritten_manifests(table, manifests, change.removed)
    except MissingFilesError as error:
        raise CommitConflictError(
            f"Cannot commit to {name}: {error}, which this commit changes, has been removed by another writer.", _AGAIN
        ) from error
    return {**rewritten, **outdated_deletes(table, manifests, rewritten)} if rewritten else rewritten


def _since(table: Table, name: str, head: Snapshot | None, planned_on: int | None) -> Iterator[Snapshot]:
    """The snapshots that lie on top of `planned_on`, newest first."""
    for snapshot in ancestors(table, head):
        if snapshot.snapshot_id == planned_on:
            return
        yield snapshot
    if planned_on is not None:
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
    touched = {_place(each) for each in change.removed.values()} if change.rows_were_read else set()
    if touched:
        everywhere = unpartitioned(table.metadata)
        for entry in added_entries(table, snapshot, deletes=True):
            if _place(entry.data_file) in touched or entry.data_file.spec_id in everywhere:
                raise CommitConflictError(
                    f"Cannot commit to {name}: snapshot {snapshot.snapshot_id} of another writer deletes rows "
                    f"({entry.data_file.file_path}) which may lie in files that this commit has written anew.",
                    _AGAIN,
                )


def _place(file: FileFacts) -> tuple[int, str]:
    # As text: NaN is itself, and 0.0 isn't -0.0.
    return file.spec_id, repr([file.partition[position] for position in range(len(file.partition))])
