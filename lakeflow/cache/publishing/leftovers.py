"""Removes segments that no run needs any more, though nobody deleted them.

An attempt that is killed leaves a segment that no marker names, whole or not; a driver that is killed behind its
publish leaves all of its run's. Before a run has published they may be needed by whoever resumes it, and stay; after
that no segment of it is read again, whoever comes back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from lakeflow.cache.publishing.publish import published
from lakeflow.runs.state.journal import Journal
from lakeflow.runs.work import ATTEMPT
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from lakeflow.cache.shelf import Shelf

__all__ = ["remove_leftovers"]

# What attempts call them: an attempt's key, and a number of their own.
_SEGMENT = re.compile(rf"(?P<run>[A-Za-z0-9][A-Za-z0-9_.-]{{0,127}})-{ATTEMPT}-[0-9a-f]{{32}}\.(arrow|idx)")


def remove_leftovers(shelf: Shelf) -> int:
    """Remove segments of runs that have published; return their bytes.

    A run is known to have published by a version of its, or, where that was removed meanwhile, by its record.

    Raises:
        StoreError: one can't be deleted, or the store can't be asked.
    """
    segments = shelf.segments()
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, size in segments.listed():
        if match := _SEGMENT.fullmatch(name):
            found[match["run"]].append((name, size))
    if not found:
        return 0
    # A load's run id is a label, which says nothing about a run of that name.
    known = {each.origin.run_id for each in published(shelf)[0] if each.origin.plan_digest}
    transport = open_transport(shelf.storage)
    freed = 0
    for run_id, names in found.items():
        if run_id in known or Journal.of(transport, shelf.uri, run_id).published():
            for name, size in names:
                segments.delete(name)
                freed += size
    return freed
