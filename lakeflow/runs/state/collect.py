"""Runs that nobody finishes, and files that lost: found by their names, and deleted where no snapshot has them.

A run that is to be given up is sealed first, as "abandoned": a driver that comes back finds that, and publishes
nothing. One that is sealed for publication already may have a driver between its seal and its commit, so it gets
`abandoned.json`, which drivers look for before each try; a try that was prepared before then is bound to the
table's snapshot of that moment, so files go once every output has a newer one.

What stays of the folder is the plan and the seal: without them the same run id could begin anew on deleted files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lakeflow.runs.state.listing import run_journals
from lakeflow.runs.state.seal import Seal
from lakeflow.runs.state.silence import GIVE_UP_AFTER, last_heard, silence_limit
from lakeflow.runs.work import ATTEMPT
from lakeflow_io.errors import NotFoundError
from lakeflow_io.iceberg.referenced import referenced_files
from lakeflow_io.iceberg.run_commit import find_run
from lakeflow_io.iceberg.vended import table_store
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from lakeflow.lake import Lake
    from lakeflow.runs.plan import RunPlan
    from lakeflow.runs.state.journal import Journal
    from lakeflow.table import Table

__all__ = ["CollectedRun", "collect_runs"]

# What attempts, an overwrite's driver and commit tasks call their files.
_FILE = re.compile(
    rf"(?P<run>.+)-(?:{ATTEMPT}|rest-a0|packed-\d+-\d+)"
    r"-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:parquet|avro)"
)


@dataclass(slots=True)
class CollectedRun:
    """One run's files that no snapshot has."""

    run_id: str
    table: str
    """Its first output."""
    state: Literal["abandoned", "committed", "waiting"]
    """`committed`: what losing attempts left. `abandoned`: all it wrote. `waiting`: the same, to be deleted once
    somebody has committed to each of its outputs: the run was sealed for publication before it was given up."""
    files: list[str] = field(default_factory=list)
    """URIs."""
    bytes: int = 0


def collect_runs(lake: Lake, *, older_than: timedelta = GIVE_UP_AFTER, dry_run: bool = False) -> list[CollectedRun]:
    """Give up runs that have been silent for long, and delete what they and losing attempts left.

    Args:
        lake: Which tables there are.
        older_than: How long a run must not have been heard of.
        dry_run: Tell what would go, and change nothing.

    Returns:
        The runs that have, or had, any such file, or are given up.

    Raises:
        InputError: `older_than` is no time.
        StoreError: the store failed; what is done is done, and calling again goes on.
    """
    limit = silence_limit(older_than)
    runs = [run for table, journal in run_journals(lake) if (run := _Run.of(lake, table, journal, dry_run=dry_run))]
    silent = [run for run in runs if run.updated <= limit]
    for run in silent:
        run.decide()
    left = _left(runs, silent)
    found = []
    for run in silent:
        files = left.get(id(run), {})
        size = sum(size for size, _ in files.values())
        if not dry_run:
            if run.state != "waiting":
                for uri, (_, table) in files.items():
                    open_transport(table_store(table.iceberg)).delete(uri)
            run.clean()
        if files or run.state != "committed":
            found.append(CollectedRun(run.plan.run_id, run.table.name, run.state, sorted(files), size))
    return found


class _Run:
    """A run that may be given up."""

    def __init__(
        self, table: Table, journal: Journal, plan: RunPlan, tables: dict[str, Table], *, dry_run: bool
    ) -> None:
        self.table, self.journal, self.plan, self.tables = table, journal, plan, tables
        self.state: Literal["abandoned", "committed", "waiting"] = "abandoned"
        self._dry_run = dry_run
        status = journal.read("status.json") or {}
        self.updated = last_heard(plan, status)
        self._status = status

    @classmethod
    def of(cls, lake: Lake, table: Table, journal: Journal, *, dry_run: bool) -> _Run | None:
        """None where it can't be told what it is."""
        plan = journal.plan()
        if plan is None:
            return None
        tables = {}
        for output in plan.outputs:
            if "table" not in output:
                continue  # a cache, which removes what is in it itself
            try:
                tables[output["table"]] = lake.table(output["table"])
            except NotFoundError:
                continue  # dropped, and its files with it
        return cls(table, journal, plan, tables, dry_run=dry_run)

    def decide(self) -> None:
        """Give the run up, unless it has committed."""
        seal = self.journal.sealed()
        if self._committed():
            self.state = "committed"
            return
        if seal is None:
            seal = Seal("abandoned") if self._dry_run else self.journal.seal(Seal("abandoned"))
        if seal.state == "publish":
            self.state = "abandoned" if self._given_up() else "waiting"
            # It may have committed meanwhile: what it published is in a snapshot now, and stays.
            if self._committed():
                self.state = "committed"

    def _committed(self) -> bool:
        names = {output["name"]: output.get("table") for output in self.plan.outputs}
        for output, name in names.items():
            if name in self.tables and find_run(self.tables[name].refresh().iceberg, self.plan.run_id) is not None:
                continue
            if self.journal.committed(output) is None:
                return False
        return True

    def _given_up(self) -> bool:
        """Whether no try to commit that anyone may have prepared can land any more."""
        heads = {name: _head(table) for name, table in self.tables.items()}
        record = self.journal.read("abandoned.json")
        if record is None:
            if not self._dry_run:
                self.journal.abandon({"format": 1, "heads": heads})
            return False
        return all(heads[name] != record["heads"].get(name) for name in heads)

    def clean(self) -> None:
        """Delete what the folder of a run that was given up needn't keep."""
        if self.state == "abandoned":
            for name in ("done", "failed", "shared", "packed"):
                self.journal.clear(name)
        if self.state != "committed" and self._status.get("state") != "abandoned":
            self.journal.write_status({**self._status, "state": "abandoned"})


def _head(table: Table) -> int | None:
    current = table.refresh().snapshot
    return None if current is None else current.id


def _left(runs: Sequence[_Run], silent: Sequence[_Run]) -> dict[int, dict[str, tuple[int, Table]]]:
    """The files in tables' folders that no snapshot has, by the run that wrote them: their sizes, and which table's.

    Two runs of one id may write into one table, where their plans have different first outputs. Which of them wrote
    a file can't be told, so it is nobody's as long as one of them isn't silent.
    """
    claims: dict[tuple[str, str], list[_Run]] = defaultdict(list)
    for run in runs:
        for name in run.tables:
            claims[name, run.plan.run_id].append(run)
    quiet = {id(run) for run in silent}
    tables = {name: table for run in silent for name, table in run.tables.items()}
    found: dict[int, dict[str, tuple[int, Table]]] = defaultdict(dict)
    for name, table in tables.items():
        mine: dict[str, tuple[_Run, int]] = {}
        transport = open_transport(table_store(table.iceberg))
        for folder in _folders(table):
            for info in transport.list(folder):
                match = _FILE.fullmatch(info.uri.rpartition("/")[2])
                claimants = claims.get((name, match["run"]), []) if match else []
                if claimants and all(id(run) in quiet for run in claimants):
                    waiting = [run for run in claimants if run.state == "waiting"]
                    mine[info.uri] = (waiting or claimants)[0], info.size
        # After the listing, and after the seals: what is committed from now on is none of these runs'.
        live = referenced_files(table.refresh().iceberg) if mine else frozenset[str]()
        for uri, (run, size) in mine.items():
            if uri not in live:
                found[id(run)][uri] = size, table
    return found


def _folders(table: Table) -> list[str]:
    """Where a table's data files and manifests lie."""
    properties = table.iceberg.properties
    data = properties.get("write.data.path", join(table.location, "data"))
    return [data, table.iceberg.location_provider().new_metadata_location("").rstrip("/")]
