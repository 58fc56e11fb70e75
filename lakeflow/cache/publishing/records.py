"""Records that a run has published a version, before that version goes: else nobody could tell any more.

The driver records it itself, unless it dies before. Whoever resumed the run then would publish it again, over what is
newer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lakeflow.runs.outputs.sink import Publication
from lakeflow.runs.state.journal import Journal
from lakeflow_io.errors import LakeflowError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from lakeflow.cache.files.manifest import Manifest
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.publishing.retention import Retention
    from lakeflow.cache.shelf import Shelf

__all__ = ["publication_of", "retired"]

_log = logging.getLogger("lakeflow.cache")


def retired(shelf: Shelf, retention: Retention, pointer: Pointer, now: float) -> Pointer:
    """Return a pointer without the versions that don't stay; the runs that made them are known to have published.

    Args:
        shelf: Of the cache.
        retention: What stays.
        pointer: What is published.
        now: Unix seconds.
    """
    kept = retention.applied(pointer, now)
    for version in pointer.published:
        if version in kept.published:
            continue
        try:
            _record(shelf, shelf.manifest(version))
        except LakeflowError as error:  # it goes all the same
            _log.warning("That a run made version %s of %s isn't recorded: %s", version, shelf.place, error)
    return kept


def publication_of(manifest: Manifest) -> Publication:
    """What a run has published."""
    return Publication(manifest.version, manifest.origin.plan_digest, manifest.rows)


def _record(shelf: Shelf, manifest: Manifest) -> None:
    run_id, plan_digest = manifest.origin.run_id, manifest.origin.plan_digest
    if run_id is None or not plan_digest:  # a load's run id is a label
        return
    journal = Journal.of(open_transport(shelf.storage), shelf.uri, run_id)
    plan = None if journal.published() else journal.plan()
    if plan is not None and plan.digest == plan_digest:
        journal.mark_committed(plan.output_names[0], publication_of(manifest).record)
