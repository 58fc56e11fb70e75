"""Changes of a table's metadata that make no snapshot: refs, schema, partitioning, properties.

As with appends, each try is made for the table as it was just seen, and the catalog takes it only
while that still holds. A conflict is looked at before it is believed.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CommitConflictError
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

__all__ = ["Change", "change_table"]

_TRIES = 12
_BACKOFF_BASE_SECONDS, _BACKOFF_LIMIT_SECONDS = 0.05, 3.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a catalog is asked for."""

    updates: tuple[Any, ...]
    requirements: tuple[Any, ...]
    landed: Callable[[Table], bool]
    """Whether a table shows it."""
    discard: Callable[[], None] = lambda: None
    """Delete the files that it brought, once it is known not to have landed."""


def change_table(table: Table, action: str, make: Callable[[Table], Change | None]) -> None:
    """Commit a change, made anew for each state of the table that it meets.

    Args:
        table: Refreshed here.
        action: For messages, such as `tag kg.films`.
        make: The change for the table as it is; None where there is nothing to do. What it raises is
            the caller's.

    Raises:
        CommitConflictError: other writers kept winning; nothing has changed.
        CatalogError: the catalog failed, and doesn't show the change now.
    """
    for attempt in range(_TRIES):
        with translated(action):
            table.refresh()
            change = make(table)
            if change is None or _try(table, change):
                return
        limit = min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
        time.sleep(random.uniform(0, limit))  # noqa: S311  (spreads writers; no secret)
    raise CommitConflictError(
        f"Cannot {action}: {_TRIES} times another writer was faster.", "run again when fewer writers are at work."
    )


def _try(table: Table, change: Change) -> bool:
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import AssertTableUUID

    requirements = (*change.requirements, AssertTableUUID(uuid=table.metadata.table_uuid))
    try:
        table.catalog.commit_table(table, requirements, change.updates)
    except CommitFailedException:
        table.refresh()
        landed = change.landed(table)
        if not landed:
            change.discard()
        return landed
    except Exception:
        table.refresh()
        if not change.landed(table):
            raise
        return True
    table.refresh()
    return True
