"""A change of a table's metadata, tried until the catalog takes it: snapshots, refs, schema, partitioning, properties.

The loop is ours, not pyiceberg's. Each try is made for the table as it was last seen, and the catalog takes it only
while that still holds. A conflict is looked at before it is believed, and what was written for a try is deleted only
after a fresh look has shown that it didn't land.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CommitConflictError
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

__all__ = ["Update", "change_table"]

_log = logging.getLogger("lakeflow.commit")

# With full jitter, twenty writers that commit at the same moment all get through within these.
_TRIES = 20
_BACKOFF_BASE_SECONDS, _BACKOFF_LIMIT_SECONDS = 0.05, 3.0


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Update:
    """What a catalog is asked for."""

    updates: tuple[Any, ...]
    requirements: tuple[Any, ...]
    landed: Callable[[Table], bool]
    """Whether a table shows it."""
    discard: Callable[[], None] = _nothing
    """Delete the files that it brought, once it is known not to have landed."""
    snapshot_id: int | None = None
    """The newest snapshot that it adds, if it adds any."""


def change_table(
    table: Table, action: str, make: Callable[[Table], Update | None], abandon: Callable[[], None] = _nothing
) -> Update | None:
    """Commit a change, made anew for each state of the table that it meets.

    Args:
        table: As it was just loaded. It is loaded again only where another writer was faster, or an answer got lost;
            it is then, or in the end, as the catalog has it.
        action: For messages, such as `tag kg.films`.
        make: The change for the table as it is; None where there is nothing to do. What it raises is
            the caller's.
        abandon: Called before an error leaves that is raised while it is certain that nothing has landed.

    Returns:
        What landed; None where there was nothing to do.

    Raises:
        CommitConflictError: other writers kept winning; nothing has changed.
        CatalogError: the catalog failed, and doesn't show the change now. Whether it will is not known.
    """
    known = _Known()
    try:
        return _until_landed(table, action, make, known)
    except BaseException:
        if known.certain:
            abandon()
        raise


@dataclass(slots=True)
class _Known:
    certain: bool = True
    """Whether it is known that nothing has landed."""


def _until_landed(table: Table, action: str, make: Callable[[Table], Update | None], known: _Known) -> Update | None:
    from pyiceberg.exceptions import CommitFailedException

    for attempt in range(_TRIES):
        with translated(action):
            if attempt:
                table.refresh()
            update = make(table)
            if update is None:
                return None
            known.certain = False
            refused = _refused(table, update)
            if refused is None:
                return update
            known.certain = True
            update.discard()
            if not isinstance(refused, CommitFailedException):
                raise refused
        _log.info("try %d to %s met a faster writer", attempt + 1, action)
        limit = min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
        time.sleep(random.uniform(0, limit))  # noqa: S311  (spreads writers; no secret)
    raise CommitConflictError(
        f"Cannot {action}: {_TRIES} times another writer was faster.",
        "nothing of it is visible; run again when fewer writers are at work.",
    )


def _refused(table: Table, update: Update) -> Exception | None:
    """One try: None where it landed, else why it certainly did not. What is raised leaves that open."""
    from pyiceberg.exceptions import BadRequestError, CommitFailedException, ForbiddenError, UnauthorizedError
    from pyiceberg.table.update import AssertTableUUID

    number = table.metadata.next_sequence_number()
    requirements = (*update.requirements, AssertTableUUID(uuid=table.metadata.table_uuid))
    try:
        answer = table.catalog.commit_table(table, requirements, update.updates)
    except Exception as error:
        # A proxy may have retried a commit that had landed: "conflict" is proof of nothing.
        table.refresh()
        if update.landed(table):
            return None
        # pyiceberg's own check, or a server's. What a garbled answer raises is a ValueError of another class.
        invalid = type(error) is ValueError or isinstance(error, BadRequestError)
        if invalid and table.metadata.next_sequence_number() != number:
            # Another branch has got a snapshot: ours is where it was, as was asked for, and its number is taken.
            return CommitFailedException(str(error))
        if isinstance(error, CommitFailedException | BadRequestError | ForbiddenError | UnauthorizedError):
            return error  # it has looked at the request
        raise  # neither yes nor no: what was written stays, for it may be what readers will see
    table.metadata, table.metadata_location = answer.metadata, answer.metadata_location
    return None
