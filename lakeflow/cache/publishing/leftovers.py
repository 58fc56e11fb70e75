"""Removes segments that no run needs any more, though nobody deleted them.

An attempt that is killed leaves a segment that no marker names, whole or not; a driver that is killed behind its
publish leaves all of its run's. Before a run has published they may be needed by whoever resumes it, and stay, unless
it is given up; after that no segment of it is read again, whoever comes back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeflow.cache.publishing.abandon import give_up
from lakeflow.cache.publishing.publish import published
from lakeflow.runs.state.journal import RUNS, Journal
from lakeflow.runs.work import ATTEMPT
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from lakeflow.cache.shelf import Shelf

__all__ = ["Leftovers", "remove_leftovers"]

# What attempts call them: an attempt's key, and a number of their own.
_SEGMENT = re.compile(rf"(?P<run>[A-Za-z0-9][A-Za-z0-9_.-]{{0,127}})-{ATTEMPT}-[0-9a-f]{{32}}\.(arrow|idx)")
_READERS = 16  # a cache may have had a run a night for years


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was removed."""

    bytes: int
    given_up: tuple[str, ...]
    """Runs that hadn't published, and never will."""


def remove_leftovers(shelf: Shelf, limit: float | None = None) -> Leftovers:
    """Remove segments of runs that have published, and of those that are given up.

    A run is known to have published by a version of its, or, where that was removed meanwhile, by its record.

    Args:
        shelf: Of the cache.
        limit: Runs that haven't published and were last heard of before this moment, in Unix seconds, are given up;
            none where None.

    Raises:
        StoreError: one can't be deleted, or the store can't be asked.
    """
    segments = shelf.segments()
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, size in segments.listed():
        if match := _SEGMENT.fullmatch(name):
            found[match["run"]].append((name, size))
    transport = open_transport(shelf.storage)
    if limit is not None:  # such as failed before their first segment: their shared tables may be large
        for run_id in transport.folders(join(shelf.uri, RUNS)):
            found.setdefault(run_id, [])
    if not found:
        return Leftovers(0, ())
    # A load's run id is a label, which says nothing about a run of that name.
    known = {each.origin.run_id for each in published(shelf)[0] if each.origin.plan_digest}
    journals = {run_id: Journal(transport, join(shelf.uri, RUNS, run_id)) for run_id in found}
    with ThreadPoolExecutor(_READERS, "lakeflow-leftovers") as pool:
        over = dict(
            zip(found, pool.map(lambda run_id: run_id in known or _is_over(journals[run_id]), found), strict=True)
        )
    freed, given_up = 0, []
    for run_id, names in found.items():
        if not over[run_id]:
            if limit is None or not give_up(journals[run_id], limit):
                continue
            given_up.append(run_id)
        for name, size in names:
            segments.delete(name)
            freed += size
    return Leftovers(freed, tuple(sorted(given_up)))


def _is_over(journal: Journal) -> bool:
    return journal.published() or journal.is_abandoned()
