"""Staged files -> one snapshot, labelled so that a second try finds the first.

The loop is ours, not pyiceberg's. Each try is bound to the snapshot it was checked against: no
ancestor carries this run's id, and the catalog takes the commit only while that snapshot is the
current one. So of two drivers that commit one run, the second conflicts, looks again and finds
the first's. And nothing is deleted before a fresh look has shown that the commit didn't land.
"""

from __future__ import annotations

import base64
import logging
import random
import time
from typing import TYPE_CHECKING, Any, cast

from lakeflow_io.errors import CatalogError, CommitConflictError, InternalError
from lakeflow_io.iceberg.internals import staged_append
from lakeflow_io.iceberg.refs import MAIN, ancestors, require_branch
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.types import PrimitiveType

__all__ = ["RUN_ID", "append_staged", "find_snapshot"]

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
    paths = [file["path"] for file in staged]
    if len(set(paths)) < len(paths):
        raise InternalError(f"A data file is listed twice in a commit to {name}.", "nothing was committed; report it.")
    facts = {**summary, RUN_ID: run_id} if run_id else dict(summary)
    for attempt in range(_TRIES):
        with translated(f"commit to {name}"):
            table.refresh()
            require_branch(table, name, branch)
            found = find_snapshot(table, run_id, branch) if run_id else None
            if found is not None:
                return found, False
            _refuse_other_partitioning(table, name, staged)
            landed = _try_append(table, staged, facts, branch)
        if landed is not None:
            return landed, True
        _log.info("commit %d to %s met a faster writer", attempt + 1, name)
        limit = min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
        time.sleep(random.uniform(0, limit))  # noqa: S311  (spreads writers; no secret)
    raise CommitConflictError(
        f"Cannot commit to {name}: {_TRIES} times another writer was faster.",
        "nothing of this commit is visible; run again when fewer writers are at work.",
    )


def _refuse_other_partitioning(table: Table, name: str, staged: Sequence[dict[str, Any]]) -> None:
    # A manifest holds files of one spec, and pyiceberg writes that of the current one.
    if any(file["spec_id"] != table.spec().spec_id for file in staged):
        raise CommitConflictError(
            f"Cannot commit to {name}: its partitioning has changed since the files were written.",
            "nothing of this commit is visible; run again, so that rows are partitioned in the new way.",
        )


def _try_append(table: Table, staged: Sequence[dict[str, Any]], facts: dict[str, str], branch: str) -> Snapshot | None:
    """One try; None where another writer was faster. The catalog's failure is raised as it is."""
    from pyiceberg.exceptions import CommitFailedException

    change = staged_append(table, [_data_file(table, file) for file in staged], facts, branch)
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


def _data_file(table: Table, file: dict[str, Any]) -> DataFile:
    from pyiceberg.conversions import from_bytes
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    spec = table.metadata.specs()[file["spec_id"]]
    kinds = [field.field_type for field in spec.partition_type(table.schema()).fields]
    values = [
        None if value is None else from_bytes(cast("PrimitiveType", kind), base64.b64decode(value))
        for kind, value in zip(kinds, file["partition"], strict=True)
    ]
    by_id = {
        name: {int(k): v for k, v in file[name].items()}
        for name in ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
    }
    bounds = {
        name: {int(k): base64.b64decode(v) for k, v in file[name].items()} for name in ("lower_bounds", "upper_bounds")
    }
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file["path"],
        file_format=FileFormat.PARQUET,
        partition=Record(*values),
        record_count=file["rows"],
        file_size_in_bytes=file["bytes"],
        sort_order_id=file["sort_order_id"],
        spec_id=file["spec_id"],
        split_offsets=file["split_offsets"],
        equality_ids=None,
        key_metadata=None,
        **cast("dict[str, Any]", {**by_id, **bounds}),
    )
