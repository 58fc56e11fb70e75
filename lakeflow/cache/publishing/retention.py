"""Which versions stay, and the removal of all others: what a publish does at its end, and `gc` at any time.

First the pointer stops listing a version, then its files go. Killed between the two, it leaves files
that nothing lists, which the next publish or `gc` removes. What a reader has mapped stays readable on a
local disk when its files' names are gone; `grace` is for object stores, where a reader fetches a shard when
it first needs one, for file systems such as NFS, and for readers that were told a version's id and haven't
opened it yet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeflow.cache.publishing.leftovers import remove_leftovers
from lakeflow.cache.publishing.records import retired
from lakeflow.runs.state.silence import silence_limit
from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from datetime import timedelta

    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.shelf import Shelf

__all__ = ["KEEP_VERSIONS", "Collected", "Retention", "collect"]

KEEP_VERSIONS = 3
"""The current version, the one to roll back to, and one for readers that are still at work on it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many versions stay and for how long.

    Raises:
        InputError: no version would be left, or the grace period is negative.
    """

    keep: int = KEEP_VERSIONS
    """The newest ones."""
    grace: float = 0.0
    """Seconds for which a version stays after it was current."""

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise InputError(f"keep={self.keep} would leave no version.", "keep at least 1.")
        if not self.grace >= 0:
            raise InputError(f"grace={self.grace} is no time.", "give seconds, 0 or more.")

    def applied(self, pointer: Pointer, now: float) -> Pointer:
        """Return a pointer that lists the newest versions, the pinned ones, and those left a short time ago."""
        within = [version for version, left in pointer.left.items() if self.grace and now - left < self.grace]
        return pointer.only([*pointer.published[-self.keep :], *pointer.pinned, *within])


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed."""

    versions: tuple[str, ...]
    """Published ones, and what builds left that died."""
    bytes: int
    """Of files that no other version has a part in, and of segments that no run needs any more."""
    given_up: tuple[str, ...] = ()
    """Runs that hadn't published and never will."""


def collect(shelf: Shelf, retention: Retention | None, older_than: timedelta | None) -> Collected:
    """Remove what nobody needs.

    Args:
        shelf: Of the cache.
        retention: Which versions stay; all where None.
        older_than: For how long a run that hasn't published must have been silent to be given up; None for never.

    Raises:
        InputError: `older_than` is no time.
        NotFoundError: there is no such cache.
        StoreError: the pointer can't be written; no version is removed then.
    """
    limit = None if older_than is None else silence_limit(older_than)
    try:
        removed = shelf.sweep()  # first what needs no new pointer, for which a full disk has no room
    except NotFoundError:
        if not any(True for _ in shelf.segments().listed()):
            raise
        removed = {}  # no run into it has published yet
    if retention is not None:
        stays = retention
        if shelf.change(lambda pointer: pointer and retired(shelf, stays, pointer, time.time())):
            for version, freed in shelf.sweep().items():
                removed[version] = removed.get(version, 0) + freed
    left = remove_leftovers(shelf, limit)
    return Collected(tuple(sorted(removed)), sum(removed.values()) + left.bytes, left.given_up)
