"""Staged files -> one snapshot, labelled so that a second try finds the first.

The loop is ours, not pyiceberg's. Each try is bound to the snapshot it was checked against: no
ancestor carries this run's id, and the catalog takes the commit only while that snapshot is the
current one. So of two drivers that commit one run, the second conflicts, looks again and finds
the first's. And nothing is deleted before a fresh look has shown that the commit didn't land.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CatalogError, CommitConflictError, InternalError
from lakeflow_io.iceberg.change import prepare_change
from lakeflow_io.iceberg.describe import data_file
from lakeflow_io.iceberg.internals import staged_append
from lakeflow_io.iceberg.refs import MAIN, ancestors, require_branch
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakeflow_io.iceberg.change import Change
    from lakeflow_io.iceberg.internals import PreparedCommit

__all__ = ["RUN_ID", "append_staged", "commit_change", "find_snapshot"]

RUN_ID = "lakeflow.run-id"
_log = logging.getLogger("lakeflow.commit")

# With full jitter, twenty writers that commit at the same moment all get through within these.
_TRIES = 20
_BACKOFF_BASE_SECONDS = 0.05
_BACKOFF_LIMIT_SECONDS = 3.0


def append_staged(
    table: Table,
    name: str,
    staged: Sequence[dict[str, Any]],
    summary: Mapping[str, str],
    run_id: str | None = None,
    branch: str = MAIN,
) -> tuple[Snapshot, bool]:
    """Commit files written by `Stager.write` as one APPEND snapshot; once, where a run id is given.

    Args:
        table: Refreshed here; the commit lies on whatever is current then.
        name: For messages.
        staged: The files' descriptions.
        summary: Extra entries of the snapshot's summary.
        run_id: Recorded in the summary. If an ancestor has it already, that one is returned.
        branch: What is appended to; it is there already.

    Returns:
        The snapshot, and whether it holds these files: not where the run had been committed before.

    Raises:
        InternalError: a file is listed twice; nothing is committed.
        NotFoundError: the branch is gone.
        CommitConflictError: other writers kept winning, or one has changed how the table is partitioned;
            nothing is visible.
        CatalogError: the catalog failed and doesn't answer now. Whether the commit landed is not
            known; calling again with the same run id finds out.
    """
    from lakeflow_io.iceberg.snapshot_internals import staged_change

    _check_paths(name, staged)
    facts = _facts(summary, run_id)

    def prepare() -> PreparedCommit:
        files = [data_file(table, file) for file in staged]
        if branch != MAIN:
            _refuse_other_partitioning(table, name, files)
        if all(file.spec_id == table.spec().spec_id for file in files):
            return staged_append(table, files, facts, branch)
        # They were staged before the table's partition spec changed: pyiceberg's append knows the newest alone.
        return staged_change(table, "append", files, {}, facts)

    return _until_committed(table, name, prepare, run_id, branch)


def commit_change(
    table: Table, name: str, change: Change, summary: Mapping[str, str], run_id: str | None = None
) -> tuple[Snapshot, bool]:
    """Commit files that come and files that go as one snapshot; once, where a run id is given.

    Each try is checked against what others have committed since the change was planned.

    Args:
        table: Refreshed here.
        name: For messages.
        change: What comes, what goes, and what contradicts it.
        summary: Extra entries of the snapshot's summary.
        run_id: As in `append_staged`.

    Returns:
        As `append_staged`.

    Raises:
        CommitConflictError: another writer's commit contradicts it, or others kept winning; nothing is visible.
        CatalogError: as in `append_staged`.
    """
    _check_paths(name, change.added)
    facts = _facts(summary, run_id)
    return _until_committed(table, name, lambda: prepare_change(table, name, change, facts), run_id)


def _check_paths(name: str, staged: Sequence[dict[str, Any]]) -> None:
    paths = [file["path"] for file in staged]
    if len(set(paths)) < len(paths):
        raise InternalError(f"A data file is listed twice in a commit to {name}.", "nothing was committed; report it.")


def _facts(summary: Mapping[str, str], run_id: str | None) -> dict[str, str]:
    return {**summary, RUN_ID: run_id} if run_id else dict(summary)


def _until_committed(
    table: Table, name: str, prepare: Callable[[], PreparedCommit], run_id: str | None, branch: str = MAIN
) -> tuple[Snapshot, bool]:
    """Try on top of whatever is current, until the catalog takes it."""
    for attempt in range(_TRIES):
        with translated(f"commit to {name}"):
            table.refresh()
            require_branch(table, name, branch)
            found = find_snapshot(table, run_id, branch) if run_id else None
            if found is not None:
                return found, False
            landed = _try(table, prepare())
        if landed is not None:
            return landed, True
        _log.info("commit %d to %s met a faster writer", attempt + 1, name)
        limit = min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
        time.sleep(random.uniform(0, limit))  # noqa: S311  (spreads writers; no secret)
    raise CommitConflictError(
        f"Cannot commit to {name}: {_TRIES} times another writer was faster.",
        "nothing of this commit is visible; run again when fewer writers are at work.",
    )


def _refuse_other_partitioning(table: Table, name: str, files: Sequence[DataFile]) -> None:
    # A manifest holds files of one spec, and pyiceberg writes that of the current one.
    if any(file.spec_id != table.spec().spec_id for file in files):
        raise CommitConflictError(
            f"Cannot commit to {name}: its partitioning has changed since the files were written.",
            "nothing of this commit is visible; run again, so that rows are partitioned in the new way.",
        )


def _try(table: Table, change: PreparedCommit) -> Snapshot | None:
    """One try; None where another writer was faster. The catalog's failure is raised as it is."""
    from pyiceberg.exceptions import CommitFailedException

    try:
        table.catalog.commit_table(table, change.requirements, change.updates)
    except CommitFailedException:
        # A proxy may have retried a commit that had landed: "conflict" is proof of nothing.
        table.refresh()
        landed = table.metadata.snapshot_by_id(change.snapshot_id)
        if landed is None:
            change.discard()
        return landed
    except Exception:
        # Neither yes nor no. What was written stays, for it may be what readers now see.
        table.refresh()
        landed = table.metadata.snapshot_by_id(change.snapshot_id)
        if landed is None:
            raise
        return landed
    table.refresh()
    landed = table.metadata.snapshot_by_id(change.snapshot_id)
    if landed is None:
        raise CatalogError(
            f"The catalog took snapshot {change.snapshot_id} and does not show it.",
            "look at the table's snapshots before you run again: it may have been expired at once.",
        )
    return landed


def find_snapshot(table: Table, run_id: str, branch: str = MAIN) -> Snapshot | None:
    """The ancestor of a branch's newest snapshot that this run committed, if any."""
    for snapshot in ancestors(table, table.metadata.snapshot_by_name(branch)):
        if snapshot.summary is not None and snapshot.summary.additional_properties.get(RUN_ID) == run_id:
            return snapshot
    return None
