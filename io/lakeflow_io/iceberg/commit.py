"""Staged files -> one snapshot, labelled so that a second try finds the first.

Each try is bound to the snapshot it was checked against: no ancestor carries this run's id, and the catalog takes the
commit only while that snapshot is its branch's newest one. So of two drivers that commit one run, the second
conflicts, looks again and finds the first's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_io.errors import CatalogError, InternalError
from lakeflow_io.iceberg.change import prepare_change
from lakeflow_io.iceberg.refs import MAIN, ancestors, require_branch
from lakeflow_io.iceberg.update import change_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakeflow_io.iceberg.change import Change
    from lakeflow_io.iceberg.update import Update

__all__ = ["RUN_ID", "commit_change", "find_snapshot"]

RUN_ID = "lakeflow.run-id"


def commit_change(
    table: Table,
    name: str,
    change: Change,
    summary: Mapping[str, str],
    run_id: str | None = None,
    abandon: Callable[[], None] = lambda: None,
) -> tuple[Snapshot, bool]:
    """Commit files that come and files that go as one snapshot; once, where a run id is given.

    Each try is checked against what others have committed since the change was planned.

    Args:
        table: As it was just loaded, or when the change was planned; refreshed where others have committed since.
        name: For messages.
        change: What comes, what goes, and what contradicts it.
        summary: Extra entries of the snapshot's summary.
        run_id: Recorded in the summary. If an ancestor has it already, that one is returned.
        abandon: Called before an error leaves while it is certain that no snapshot names the files that come.

    Returns:
        The snapshot, and whether it holds these files: not where the run had been committed before.

    Raises:
        InternalError: a file is listed twice; nothing is committed.
        NotFoundError: the branch is gone.
        CommitConflictError: another writer's commit contradicts it, or others kept winning; nothing is visible.
        CatalogError: the catalog failed and doesn't answer now. Whether the commit landed is not
            known; calling again with the same run id finds out.
    """
    _check_paths(name, change)
    facts = {**summary, RUN_ID: run_id} if run_id else summary
    before: list[Snapshot] = []

    def make(seen: Table) -> Update | None:
        require_branch(seen, name, change.branch)
        found = find_snapshot(seen, run_id, change.branch) if run_id else None
        if found is not None:
            before.append(found)
            return None
        return prepare_change(seen, name, change, facts)

    landed = change_table(table, f"commit to {name}", make, abandon)
    if landed is None:
        return before[0], False
    made = None if landed.snapshot_id is None else table.metadata.snapshot_by_id(landed.snapshot_id)
    if made is None:
        raise CatalogError(
            f"The catalog took snapshot {landed.snapshot_id} and does not show it.",
            "look at the table's snapshots before you run again: it may have been expired at once.",
        )
    return made, True


def _check_paths(name: str, change: Change) -> None:
    paths = [file["path"] for file in change.added]
    if len(set(paths)) < len(paths):
        raise InternalError(f"A data file is listed twice in a commit to {name}.", "nothing was committed; report it.")


def find_snapshot(table: Table, run_id: str, branch: str = MAIN) -> Snapshot | None:
    """The ancestor of a branch's newest snapshot that this run committed, if any."""
    for snapshot in ancestors(table, table.metadata.snapshot_by_name(branch)):
        if snapshot.summary is not None and snapshot.summary.additional_properties.get(RUN_ID) == run_id:
            return snapshot
    return None
