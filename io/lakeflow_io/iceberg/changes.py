"""Which rows came to a table between two of its snapshots: the data files that the snapshots between them added."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from lakeflow_io.errors import InputError, NotFoundError, UnsupportedError
from lakeflow_io.formats import READABLE
from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.deletes.paths import same_object
from lakeflow_io.iceberg.deletes.positions import deleted_from
from lakeflow_io.iceberg.plan import plan_of
from lakeflow_io.iceberg.refs import SnapshotName, ancestors, resolve
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakeflow_io.iceberg.manifests.snapshot import DeleteEntry, Plan
    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["added_pieces", "adding_snapshots", "snapshots_between"]

_POSITIONS = 1  # among the kinds of content
Overwrites = Literal["refuse", "expand"]


def snapshots_between(table: Table, name: str, since: SnapshotName, until: Snapshot) -> list[Snapshot]:
    """The ancestors of `until`, itself included, that came after `since`; oldest first.

    Args:
        table: As it is known now.
        name: Its name, for messages.
        since: A snapshot, or a moment: whose rows are known already. None for the beginning of the table.
        until: The last one.

    Raises:
        NotFoundError: `since` is no ancestor of `until`, or what lies between has expired.
        InputError: `since` names no snapshot.
    """
    line = list(ancestors(table, until))
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise InputError(f"since={since.isoformat()} has no time zone.", "give datetime(..., tzinfo=datetime.UTC).")
        after = [snapshot for snapshot in line if snapshot.timestamp_ms > since.timestamp() * 1000]
        if len(after) == len(line):
            _refuse_expired(table, name, line[-1], f"since {since.isoformat()}")
        return after[::-1]
    if since is None:
        _refuse_expired(table, name, line[-1], "since the beginning")
        return line[::-1]
    first = resolve(table, name, since).snapshot
    found: list[Snapshot] = []
    for snapshot in line:
        if first is not None and snapshot.snapshot_id == first.snapshot_id:
            return found[::-1]
        found.append(snapshot)
    raise NotFoundError(
        f"since={since!r} of {name} did not lead to snapshot {until.snapshot_id}, or what lies between has expired.",
        "the oldest that did is " + f"{line[-1].snapshot_id}.",
    )


def _refuse_expired(table: Table, name: str, oldest: Snapshot, asked: str) -> None:
    if oldest.parent_snapshot_id is not None or _has_earlier_files(table, oldest):
        raise NotFoundError(
            f"The changes of {name} {asked} aren't known: snapshots before {oldest.snapshot_id} have expired.",
            f"read the table whole, then follow it from since={oldest.snapshot_id} on.",
        )


def _has_earlier_files(table: Table, snapshot: Snapshot) -> bool:
    """Whether a snapshot without a parent once had one: pyiceberg's expiry has snapshots forget expired parents."""
    if snapshot.sequence_number == 1:
        return False  # the table's first
    with translated(f"read snapshot {snapshot.snapshot_id}"):
        manifests = snapshot.manifests(table.io)
    return any(
        each.added_snapshot_id != snapshot.snapshot_id or each.existing_files_count or each.deleted_files_count
        for each in manifests
    )


def adding_snapshots(name: str, snapshots: Sequence[Snapshot], overwrites: Overwrites) -> list[Snapshot]:
    """Those that bring rows: appends, and overwrites where they are to be expanded. A `replace` brings none.

    Raises:
        UnsupportedError: one changes or removes rows, and is not to be expanded; names it.
        InputError: `overwrites` is neither of its two values.
    """
    if overwrites not in ("refuse", "expand"):
        raise InputError(f"overwrites={overwrites!r} is unknown.", 'use overwrites="refuse" or "expand".')
    found = []
    for snapshot in snapshots:
        operation = snapshot.summary.operation.value if snapshot.summary else "unknown"
        if operation == "replace":
            continue
        if operation != "append" and overwrites == "refuse":
            raise UnsupportedError(
                f"Snapshot {snapshot.snapshot_id} of {name} is of the kind {operation!r}: "
                "it removes or changes rows, which added rows don't tell.",
                'pass overwrites="expand" for the rows of all files that it added, or read the table whole.',
            )
        found.append(snapshot)
    return found


def added_pieces(table: Table, spec: ReadSpec, snapshots: Sequence[Snapshot]) -> list[Piece]:
    """The data files that `snapshots` added and that can hold rows of the scan, sorted by path.

    Args:
        table: Theirs.
        spec: What is read.
        snapshots: From `adding_snapshots`.

    Raises:
        UnsupportedError: a file is in a format that isn't read, or has rows that the commit deleted that added it.
    """
    found: dict[str, Piece] = {}
    for snapshot in snapshots:
        plan = plan_of(table, spec, snapshot, added=True)
        pieces = {piece.path: piece for piece in plan.pieces}
        _refuse_own_deletes(spec, snapshot, plan, pieces)
        found |= pieces
    return [found[path] for path in sorted(found)]


def _refuse_own_deletes(spec: ReadSpec, snapshot: Snapshot, plan: Plan, own: Mapping[str, Piece]) -> None:
    """Position deletes apply to files of the same commit too: rows that no snapshot ever showed."""
    paths = {same_object(path) for path in own}
    for delete in plan.deletes if own else []:
        if delete.content == _POSITIONS and not paths.isdisjoint(_deleted_from(spec, delete)):
            raise UnsupportedError(
                f"{spec.source}: snapshot {snapshot.snapshot_id} added data files and deleted rows of them at once "
                f"({delete.path}), which the changes can't tell.",
                "read the table whole.",
            )


def _deleted_from(spec: ReadSpec, delete: DeleteEntry) -> set[str]:
    """The data files that a file of position deletes is about, from `same_object`."""
    if delete.referenced is not None:
        return {same_object(delete.referenced)}
    if delete.format not in READABLE:
        raise UnsupportedError(
            f"{delete.path} holds deletes as {delete.format}, which the changes can't look at.",
            "read the table whole.",
        )
    data = open_transport(spec.store).get(delete.path)
    file = DeleteFile("position", delete.path, len(data), delete.sequence, delete.rows, delete.format)
    return deleted_from(file, FetchedRanges(delete.path, [(ByteRange(0, len(data)), data)]))
