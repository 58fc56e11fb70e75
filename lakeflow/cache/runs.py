"""Runs into a cache, from their ids alone: their state lies in the cache's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.cache.publishing.publish import published
from lakeflow.names import check_run_id
from lakeflow.runs.outputs.sink import Publication
from lakeflow.runs.state.journal import RUNS, Journal
from lakeflow.runs.state.listing import newest_first, run_at, run_info
from lakeflow_io.errors import NotFoundError
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from lakeflow.cache.shelf import Shelf
    from lakeflow.runs.state.listing import FoundRun, RunInfo

__all__ = ["run_into", "runs_into"]


def run_into(shelf: Shelf, run_id: str) -> FoundRun:
    """Find a run whose first output is a cache.

    Args:
        shelf: Of the cache.
        run_id: The run's.

    Raises:
        InputError: no run can have this id.
        NotFoundError: there is no such run.
    """
    found = run_at(Journal.of(open_transport(shelf.storage), shelf.uri, check_run_id(run_id)))
    if found is None:
        raise NotFoundError.among("run", run_id, shelf.place, [journal.run_id for journal in _journals(shelf)])
    return found


def runs_into(shelf: Shelf) -> list[RunInfo]:
    """Return the runs whose first output is a cache, newest first; takes a listing, and a few requests a run."""
    rows = {each.origin.run_id: each.rows for each in published(shelf)[0] if each.origin.plan_digest}

    def look(journal: Journal) -> RunInfo | None:
        known = journal.run_id in rows
        return run_info(shelf.name, journal, rows[journal.run_id] if known else _recorded_rows(journal))

    return newest_first(look, [(journal,) for journal in _journals(shelf)])


def _journals(shelf: Shelf) -> list[Journal]:
    transport, folder = open_transport(shelf.storage), join(shelf.uri, RUNS)
    return [Journal(transport, join(folder, run_id)) for run_id in sorted(transport.folders(folder))]


def _recorded_rows(journal: Journal) -> int | None:
    """The rows that a run published whose version is gone; None where it hasn't."""
    if not journal.published():
        return None
    plan = journal.plan()
    record = plan and journal.committed(plan.output_names[0])
    return Publication.from_record(record).rows if record else None
