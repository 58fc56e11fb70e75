"""Branches and tags: made, moved, removed, and a branch's snapshots published on main."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import AlreadyExistsError, CommitConflictError, InputError, NotFoundError
from lakeflow_io.iceberg.commit import RUN_ID
from lakeflow_io.iceberg.live import added_entries
from lakeflow_io.iceberg.refs import MAIN, ancestors, require_branch
from lakeflow_io.iceberg.update import Update, change_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["drop_ref", "publish", "set_ref"]

_SOURCE = "source-snapshot-id"  # what Iceberg's own cherry-pick records
_APPEND = "append"


def set_ref(
    table: Table, name: str, ref: str, kind: Literal["branch", "tag"], snapshot_id: int, *, replace: bool = False
) -> None:
    """Make a branch or a tag, or move one that is there.

    Raises:
        AlreadyExistsError: there is one of that name, it means another snapshot, and `replace` is off.
        InputError: the name is taken by the other kind, or is no name.
    """
    if not isinstance(ref, str) or not ref.strip() or ref == MAIN:
        raise InputError(f"{ref!r} can't be the name of a {kind}.", "give a name that isn't empty and isn't 'main'.")

    def make(seen: Table) -> Update | None:
        there = seen.metadata.refs.get(ref)
        if there is not None and there.snapshot_ref_type.value != kind:
            raise InputError(f"{ref!r} is a {there.snapshot_ref_type.value} of {name}.", f"name the {kind} otherwise.")
        if there is not None and there.snapshot_id == snapshot_id:
            return None
        if there is not None and not replace:
            raise AlreadyExistsError(
                f"The {kind} {ref!r} of {name} is at snapshot {there.snapshot_id}.",
                "drop it first, or say replace=True."
                if kind == "tag"
                else "drop it first, or open it without a snapshot.",
            )
        return _moved(seen, ref, kind, snapshot_id)

    change_table(table, f"set the {kind} {ref!r} of {name}", make)


def drop_ref(table: Table, name: str, ref: str, kind: Literal["branch", "tag"]) -> None:
    """Remove a branch or a tag; snapshots that nothing else names may be expired from then on.

    Raises:
        NotFoundError: there is none of that name.
        InputError: it is `main`, or of the other kind.
    """
    from pyiceberg.table.update import RemoveSnapshotRefUpdate

    if ref == MAIN:
        raise InputError(f"The branch 'main' of {name} can't be dropped.", "drop the table, if that is what you want.")

    def make(seen: Table) -> Update:
        there = seen.metadata.refs.get(ref)
        known = [each for each, found in seen.metadata.refs.items() if found.snapshot_ref_type.value == kind]
        if there is None:
            raise NotFoundError.among(kind, ref, name, sorted(known))
        if ref not in known:
            raise InputError(f"{ref!r} is a {there.snapshot_ref_type.value} of {name}, no {kind}.", "drop it as that.")
        return Update(
            (RemoveSnapshotRefUpdate.model_validate({"ref-name": ref}),),
            (_still(ref, there.snapshot_id),),
            lambda now: ref not in now.metadata.refs,
        )

    change_table(table, f"drop the {kind} {ref!r} of {name}", make)


def publish(table: Table, name: str, branch: str) -> None:
    """Let main have what a branch has: moved to it, or the branch's appends repeated on top of main.

    Either way it is one commit. Repeated appends are new snapshots with the same data files and the
    same summaries, run ids included.

    Raises:
        CommitConflictError: main has moved, and the branch holds something else than appends. Nothing is published.
        NotFoundError: the branch is gone.
    """

    def make(seen: Table) -> Update | None:
        require_branch(seen, name, branch)
        head = seen.metadata.snapshot_by_name(branch)
        on_main = [snapshot.snapshot_id for snapshot in ancestors(seen, seen.metadata.snapshot_by_name(MAIN))]
        if head is None or head.snapshot_id in on_main:
            return None
        own = list(ancestors(seen, head))
        if not on_main or any(snapshot.snapshot_id == on_main[0] for snapshot in own):
            return _moved(seen, MAIN, "branch", head.snapshot_id)
        new = [snapshot for snapshot in own if snapshot.snapshot_id not in on_main]
        if len(new) == len(own):
            raise CommitConflictError(
                f"The branch {branch!r} of {name} and main have no snapshot in common any more.",
                "append the branch's rows to main: table.append(branch.scan()).",
            )
        main = list(ancestors(seen, seen.metadata.snapshot_by_name(MAIN)))
        done = {_entry(snapshot, _SOURCE) for snapshot in main}
        left = [snapshot for snapshot in reversed(new) if str(snapshot.snapshot_id) not in done]
        _refuse_second_runs(name, branch, main, left)
        return _replayed(seen, name, branch, left)

    change_table(table, f"publish the branch {branch!r} of {name}", make)


def _moved(table: Table, ref: str, kind: Any, snapshot_id: int) -> Update:
    from pyiceberg.table.refs import SnapshotRefType
    from pyiceberg.table.update import SetSnapshotRefUpdate

    there = table.metadata.refs.get(ref)
    kept = {} if there is None else there.model_dump(by_alias=True, exclude_none=True)  # retention
    update = SetSnapshotRefUpdate.model_validate(
        {**kept, "ref-name": ref, "type": SnapshotRefType(kind), "snapshot-id": snapshot_id}
    )

    def landed(now: Table) -> bool:
        found = now.metadata.refs.get(ref)
        return found is not None and found.snapshot_id == snapshot_id

    return Update((update,), (_still(ref, there.snapshot_id if there else None),), landed)


def _still(ref: str, snapshot_id: int | None) -> Any:
    from pyiceberg.table.update import AssertRefSnapshotId

    return AssertRefSnapshotId.model_validate({"ref": ref, "snapshot-id": snapshot_id})


def _replayed(table: Table, name: str, branch: str, new: list[Snapshot]) -> Update | None:
    """The appends `new`, oldest first, on top of main."""
    from lakeflow_io.iceberg.snapshot_internals import NewSnapshot, staged_snapshots

    parts = []
    for snapshot in new:
        operation = snapshot.summary.operation.value if snapshot.summary else None
        if operation != _APPEND:
            raise CommitConflictError(
                f"Main of {name} has moved since the branch {branch!r} was made, and the branch's snapshot "
                f"{snapshot.snapshot_id} is of the kind {operation!r}, which can't be repeated on top of it.",
                "make the branch again from main, and repeat the work on it.",
            )
        files = [entry.data_file for entry in added_entries(table, snapshot)]
        parts.append(NewSnapshot(_APPEND, files, {**_own_summary(snapshot), _SOURCE: str(snapshot.snapshot_id)}))
    return staged_snapshots(table, MAIN, parts) if parts else None


def _refuse_second_runs(name: str, branch: str, main: Sequence[Snapshot], new: Sequence[Snapshot]) -> None:
    """A run is committed once to what a reader of main sees."""
    there = {_entry(snapshot, RUN_ID) for snapshot in main} - {None}
    for snapshot in new:
        run_id = _entry(snapshot, RUN_ID)
        if run_id in there:
            raise CommitConflictError(
                f"The run {run_id!r} was committed to main of {name} and to the branch {branch!r}, too.",
                "drop the branch; main has the run's rows already.",
            )


def _entry(snapshot: Snapshot, key: str) -> str | None:
    return snapshot.summary.additional_properties.get(key) if snapshot.summary else None


def _own_summary(snapshot: Snapshot) -> dict[str, str]:
    """What the writer put there besides counts, which are made anew."""
    entries = snapshot.summary.additional_properties if snapshot.summary else {}
    counted = ("added-", "deleted-", "removed-", "total-", "changed-", "partitions.", "partition-summaries-")
    return {key: value for key, value in entries.items() if not key.startswith(counted)}
