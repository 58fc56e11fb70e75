"""What names a snapshot: its id, a moment, a branch, a tag. And which schema it is read with."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CorruptFileError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["MAIN", "Resolved", "SnapshotName", "ancestors", "as_of", "require_branch", "resolve"]

MAIN = "main"
SnapshotName = int | str | datetime | None
"""A snapshot's id, the name of a branch or tag, a moment with a time zone, or None for what is current."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A snapshot that was asked for."""

    snapshot: Snapshot | None
    """None only where nothing was ever written."""
    schema: Schema
    """A branch is read with the table's schema, since it goes on; a state of the past with its own."""


def resolve(table: Table, name: str, wanted: SnapshotName) -> Resolved:
    """Find a snapshot.

    Args:
        table: As it is known now.
        name: Its name, for messages.
        wanted: What the caller gave.

    Raises:
        NotFoundError: there is none of that id or name, or there was none yet at that moment.
        InputError: it is none of these, or a moment without a time zone.
        CorruptFileError: the metadata lacks its current snapshot.
    """
    if wanted is None:
        return Resolved(_current(table, name), table.schema())
    if isinstance(wanted, str):
        return _by_ref(table, name, wanted)
    if isinstance(wanted, datetime):
        return _recorded(table, as_of(table, name, wanted))
    return _recorded(table, _by_id(table, name, wanted))


def ancestors(table: Table, snapshot: Snapshot | None) -> Iterator[Snapshot]:
    """A snapshot and those before it, newest first, as far as they haven't expired."""
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else table.metadata.snapshot_by_id(parent)


def as_of(table: Table, name: str, moment: datetime) -> Snapshot:
    """The snapshot that was the current one at a moment.

    Raises:
        NotFoundError: there was none yet, or it has expired.
        InputError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise InputError(
            f"{moment.isoformat()} has no time zone, so it is no moment.", "give datetime(..., tzinfo=datetime.UTC)."
        )
    milliseconds = moment.timestamp() * 1000
    log = [(entry.timestamp_ms, entry.snapshot_id) for entry in table.metadata.snapshot_log]
    if not log:  # some writers keep none
        log = [(s.timestamp_ms, s.snapshot_id) for s in reversed(list(ancestors(table, table.current_snapshot())))]
    before = [snapshot_id for at, snapshot_id in log if at <= milliseconds]
    found = table.metadata.snapshot_by_id(before[-1]) if before else None
    if found is None:
        known = [
            f"{_text(at)} ({snapshot_id})" for at, snapshot_id in log if table.metadata.snapshot_by_id(snapshot_id)
        ]
        what = "the snapshot of then has expired" if before else "nothing was there yet"
        raise NotFoundError(
            f"No snapshot of {name} at {moment.isoformat()}: {what}.",
            f"there are: {', '.join(known[-10:])}." if known else "there are none yet.",
        )
    return found


def require_branch(table: Table, name: str, branch: str) -> None:
    """Refuse to write to what is no branch, or to one that is gone.

    Raises:
        NotFoundError: there is no such branch.
        InputError: it is a tag.
    """
    found = table.metadata.refs.get(branch)
    if found is None and branch != MAIN:
        known = [each for each, ref in table.metadata.refs.items() if ref.snapshot_ref_type.value == "branch"]
        raise NotFoundError.among("branch", branch, name, known)
    if found is not None and found.snapshot_ref_type.value != "branch":
        raise InputError(f"{branch!r} is a tag of {name}, which never moves.", "write to a branch.")


def _by_ref(table: Table, name: str, ref: str) -> Resolved:
    found = table.metadata.refs.get(ref)
    if found is None and ref == MAIN:
        return Resolved(_current(table, name), table.schema())
    if found is None:
        raise NotFoundError.among("branch or tag", ref, name, sorted(table.metadata.refs))
    snapshot = _by_id(table, name, found.snapshot_id)
    if found.snapshot_ref_type.value == "branch":
        return Resolved(snapshot, table.schema())
    return _recorded(table, snapshot)


def _current(table: Table, name: str) -> Snapshot | None:
    """The current snapshot; a table that lost it isn't empty."""
    found, snapshot_id = table.current_snapshot(), table.metadata.current_snapshot_id
    if found is None and snapshot_id is not None:
        raise CorruptFileError(
            f"The current snapshot of {name} is {snapshot_id}, which its metadata doesn't have.",
            "roll the table back to a snapshot that is there.",
        )
    return found


def _by_id(table: Table, name: str, wanted: Any) -> Snapshot:
    try:
        snapshot_id = None if isinstance(wanted, bool) else operator.index(wanted)
    except TypeError:
        snapshot_id = None
    if snapshot_id is None:
        raise InputError(
            f"{wanted!r} names no snapshot of {name}.", "give its id, a branch, a tag, or a datetime with a time zone."
        )
    found = table.metadata.snapshot_by_id(snapshot_id)
    if found is None:
        known = [str(each.snapshot_id) for each in table.snapshots()]
        raise NotFoundError.among("snapshot", snapshot_id, name, known)
    return found


def _recorded(table: Table, snapshot: Snapshot) -> Resolved:
    schema = None if snapshot.schema_id is None else table.schemas().get(snapshot.schema_id)
    return Resolved(snapshot, schema if schema is not None else table.schema())


def _text(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
