"""One push of a cache at a time: a lease in the pointer's own item, so that one condition guards both.

A lease that isn't renewed for a minute may be taken over, by the clock of whoever takes it. Two clocks that differ
by more make a push lose its lease to another; they can't do harm. A pusher that goes on without its lease, since its
process or machine stood still, is refused the pointer, and everything else that it still does is to the items of
uploads that nobody else counts on: see `uploads`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from lakeflow.cache.dynamodb.names import Names, UploadId
from lakeflow.cache.pushed.ending import given_back
from lakeflow_io.errors import CommitConflictError

if TYPE_CHECKING:
    from collections.abc import Generator

    from lakeflow.cache.dynamodb.table import Table, Value

__all__ = ["RENEW_SECONDS", "Lease", "leased"]

_LEASE_SECONDS = 60
"""How long a push that was killed keeps others out."""

RENEW_SECONDS = 10
"""How often a push that lives renews its lease, and says how far it is."""

_MINE = "lease_token = :token"


@dataclass(slots=True)
class Lease:
    """A lease that was taken."""

    table: Table
    names: Names
    token: str = field(default_factory=lambda: uuid4().hex)
    """Whose it is."""
    renewed: float = -RENEW_SECONDS
    """When, by this process's monotonic clock."""

    @property
    def due(self) -> bool:
        """Whether it is time to renew."""
        return time.monotonic() - self.renewed >= RENEW_SECONDS

    def renew(self) -> None:
        """Keep the lease for another minute; this proves that nobody else has had it.

        Raises:
            CommitConflictError: another has taken over.
            StoreError: as `Table` says.
        """
        asked = time.monotonic()
        until = int(time.time()) + _LEASE_SECONDS
        if not self.table.update(self.names.pointer, {"lease_until": until}, _MINE, {"token": self.token}):
            raise self.lost()
        self.renewed = asked

    def pointed(self) -> list[UploadId]:
        """Return the current upload and the one before it, as far as there are any."""
        item = self.table.get(self.names.pointer) or {}
        found = [item.get(name) for name in ("current_upload", "previous_upload")]
        return [UploadId.parse(str(upload), self.table.shown) for upload in found if upload]

    def point(self, upload: UploadId, previous: UploadId | None) -> None:
        """Make an upload the one that is read.

        Raises:
            CommitConflictError: another has taken over; the pointer is as it was.
            StoreError: as `Table` says.
        """
        changes: dict[str, Value | None] = {
            "current_upload": str(upload),
            "previous_upload": None if previous is None else str(previous),
        }
        if not self.table.update(self.names.pointer, changes, _MINE, {"token": self.token}):
            raise self.lost()

    def lost(self) -> CommitConflictError:
        """Return the error of a push that another has overtaken."""
        message = f"This push of cache {self.names.cache!r} stood still, and another took over."
        return CommitConflictError(message, "push again.")

    def release(self) -> None:
        """Let others push. Where one has taken over already, nothing changes."""
        self.table.update(self.names.pointer, {"lease_token": None, "lease_until": None}, _MINE, {"token": self.token})


@contextmanager
def leased(table: Table, names: Names) -> Generator[Lease]:
    """Hold the lease of a cache.

    Raises:
        CommitConflictError: another push holds it.
        StoreError: as `Table` says.
    """
    lease = Lease(table, names)
    now = int(time.time())
    changes: dict[str, Value | None] = {"lease_token": lease.token, "lease_until": now + _LEASE_SECONDS}
    given: dict[str, Value] = {"now": now, "token": lease.token}
    free = f"attribute_not_exists(lease_token) OR lease_until < :now OR {_MINE}"
    lease.renewed = time.monotonic()
    if not table.update(names.pointer, changes, free, given):
        until = (table.get(names.pointer) or {}).get("lease_until", now)
        message = f"Another push of cache {names.cache!r} to {table.shown} is under way."
        seconds = max(int(until) - now, 0) + 1
        raise CommitConflictError(message, f"try again; if it was killed, in {seconds} seconds.")
    with given_back(lease.release, _LEASE_SECONDS):
        yield lease
