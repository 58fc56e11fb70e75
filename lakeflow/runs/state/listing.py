"""The runs of a lake, as their folders tell: one listing a table, and about one request a run."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.names import check_run_id
from lakeflow.runs.state.journal import RUNS, Journal
from lakeflow.runs.state.silence import created_seconds
from lakeflow_io.errors import InputError, NotFoundError
from lakeflow_io.iceberg.run_commit import find_run as recorded_run
from lakeflow_io.iceberg.vended import table_store
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lakeflow.lake import Lake
    from lakeflow.runs.plan import RunPlan
    from lakeflow.table import Table

__all__ = [
    "SILENT_SECONDS",
    "FoundRun",
    "RunInfo",
    "find_run",
    "list_runs",
    "newest_first",
    "run_at",
    "run_info",
    "run_journals",
]

_READERS = 16
# A driver says how far it is every ten seconds; one that has been silent for six times as long is gone, or hangs.
SILENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run, in short."""

    run_id: str
    table: str
    """Its first output, in whose folder its state lies: a table, or a cache."""
    state: str
    """`running`, `interrupted`, `failed`, `committed`, `partial`, `abandoned`, or `planned` where it said no more."""
    owner: dict[str, Any]
    """`user` and `host`, and `pid` of the driver."""
    created: float
    """When its driver began: Unix seconds."""
    updated: float
    """When it was last heard of."""
    total: int
    """Shards, or items."""
    done: int
    failed: int
    """Shards that ended the run."""
    quarantined: int
    """Shards that were set aside."""
    rows: int
    """Written."""

    @property
    def age_seconds(self) -> float:
        """Since its driver began."""
        return max(0.0, time.time() - self.created)

    @property
    def progress(self) -> float:
        """0 to 1: shards that are done or set aside."""
        return min(1.0, (self.done + self.quarantined) / self.total) if self.total else 1.0


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run whose folder was found."""

    plan: RunPlan
    journal: Journal


def list_runs(lake: Lake, tables: Sequence[str] | str | None = None) -> list[RunInfo]:
    """All runs that wrote into tables, newest first.

    Args:
        lake: Which tables there are.
        tables: Only of these.

    Raises:
        NotFoundError: a table isn't there.
        StoreError: the store failed.
    """
    return newest_first(_info, list(run_journals(lake, tables)))


def newest_first(look: Callable[..., RunInfo | None], found: Sequence[tuple[Any, ...]]) -> list[RunInfo]:
    """Call `look` with each, many at a time, and sort what there is."""
    with ThreadPoolExecutor(_READERS, "lakeflow-runs") as pool:
        infos = list(pool.map(lambda each: look(*each), found))
    return sorted((info for info in infos if info is not None), key=lambda info: -info.created)


def run_journals(lake: Lake, tables: Sequence[str] | str | None = None) -> Iterator[tuple[Table, Journal]]:
    """The folder of each run, and the table in whose folder it lies."""
    names = lake.tables() if tables is None else [tables] if isinstance(tables, str) else tables
    for name in names:
        table = lake.table(name)
        transport = open_transport(table_store(table.iceberg))
        for run_id in transport.folders(join(table.location, RUNS)):
            yield table, Journal(transport, join(table.location, RUNS, run_id))


def find_run(lake: Lake, run_id: str, into: str | None = None) -> FoundRun:
    """A run by its id.

    Args:
        lake: Where its tables are.
        run_id: Its id.
        into: Its first output, which saves looking through all tables.

    Raises:
        NotFoundError: there is no such run.
        InputError: several tables have one.
    """
    check_run_id(run_id)
    names = lake.tables() if into is None else [into]

    def look(name: str) -> FoundRun | None:
        table = lake.table(name)
        return run_at(Journal.of(open_transport(table_store(table.iceberg)), table.location, run_id))

    with ThreadPoolExecutor(_READERS, "lakeflow-runs") as pool:
        found = {name: each for name, each in zip(names, pool.map(look, names), strict=True) if each is not None}
    if len(found) > 1:
        message = f"There is a run {run_id!r} in each of {', '.join(found)}."
        raise InputError(message, "say which table it wrote into.")
    if found:
        return next(iter(found.values()))
    known = [journal.run_id for _, journal in run_journals(lake, names)]
    where = into or f"the tables of {lake!r}; one into a cache is found where the cache is named, too"
    raise NotFoundError.among("run", run_id, where, known)


def run_at(journal: Journal) -> FoundRun | None:
    """A run by its folder; None where there is none."""
    plan = journal.plan()
    return None if plan is None else FoundRun(plan, journal)


def _info(table: Table, journal: Journal) -> RunInfo | None:
    committed = recorded_run(table.iceberg, journal.run_id)
    return run_info(table.name, journal, committed.rows if committed else None)


def run_info(name: str, journal: Journal, rows: int | None) -> RunInfo | None:
    """A run in short; None where there is none.

    Args:
        name: Of its first output.
        journal: Its folder.
        rows: That it published; None where it hasn't.
    """
    status = journal.read("status.json")
    if status is None:
        plan = journal.plan()
        return None if plan is None else _planned(name, plan, rows)
    works = status.get("works", {})
    return RunInfo(
        run_id=journal.run_id,
        table=name,
        state=_state(status, committed=rows is not None),
        owner=dict(status.get("owner", {})),
        created=float(status.get("started", 0)),
        updated=float(status.get("updated", 0)),
        total=int(works.get("total", 0)),
        done=int(works.get("done", 0)),
        failed=int(works.get("failed", 0)),
        quarantined=int(works.get("quarantined", 0)),
        rows=int(status.get("rows", 0)),
    )


def _planned(name: str, plan: RunPlan, rows: int | None) -> RunInfo:
    """Of a run that has said nothing since it was planned."""
    created = created_seconds(plan)
    done = plan.shards if rows is not None else 0
    return RunInfo(
        run_id=plan.run_id,
        table=name,
        state="planned" if rows is None else "committed",
        owner=plan.owner,
        created=created,
        updated=created,
        total=plan.shards,
        done=done,
        failed=0,
        quarantined=0,
        rows=rows or 0,
    )


def _state(status: dict[str, Any], *, committed: bool) -> str:
    said = str(status.get("state", "running"))
    if said != "running":
        return said
    if committed and not status.get("works", {}).get("running"):
        return "committed"
    silent = time.time() - float(status.get("updated", 0)) > SILENT_SECONDS
    return "interrupted" if silent else "running"
