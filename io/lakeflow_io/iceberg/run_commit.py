"""One run -> one snapshot of a table, with evidence that outlives the snapshot.

A run's rows stay when its snapshot expires, so the snapshot's summary can't be all that says that the run has
committed. In the same catalog commit, a table property is set: `lakeflow.run.<run id>`. Later runs drop those of
runs that have other evidence, so that a table keeps about one.

The second of two drivers that commit one run conflicts, since the table's newest snapshot has changed; it looks
again and finds the first's property.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CommitConflictError
from lakeflow_io.iceberg.change import prepare_change
from lakeflow_io.iceberg.commit import RUN_ID, find_snapshot
from lakeflow_io.iceberg.update import change_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pyiceberg.table import Table

    from lakeflow_io.iceberg.change import Change
    from lakeflow_io.iceberg.update import Update

__all__ = ["RunRecord", "commit_run", "find_run", "recorded_runs"]

_PROPERTY = "lakeflow.run."
_PLANNED = "nothing of the run is visible there; use another run id, which plans on what the table has now."
# In a snapshot's summary.
_PLAN_DIGEST = "lakeflow.plan-digest"
_ROWS = "lakeflow.rows"
_ROWS_IN = "lakeflow.rows-in"
_SECONDS = "lakeflow.seconds"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a table says of a run that has committed to it."""

    run_id: str
    snapshot: int
    """The id of the snapshot that the run made; it may have expired."""
    digest: str
    """Of the run's plan."""
    rows: int
    rows_in: int = 0
    """Rows that its function got."""
    seconds: float = 0.0
    folder: str = ""
    """URI of the run's folder; empty where only a snapshot's summary is left."""
    output: str = ""
    """Which of the run's outputs the table was."""

    @property
    def name(self) -> str:
        """Of the table property."""
        return _PROPERTY + self.run_id

    @property
    def text(self) -> str:
        """The table property's value."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "run_id"})

    @property
    def summary(self) -> dict[str, str]:
        """The same in a snapshot's summary."""
        return {
            RUN_ID: self.run_id,
            _PLAN_DIGEST: self.digest,
            _ROWS: str(self.rows),
            _ROWS_IN: str(self.rows_in),
            _SECONDS: str(self.seconds),
        }


def recorded_runs(properties: Mapping[str, str]) -> list[RunRecord]:
    """What a table's properties say of runs; what doesn't parse is nobody's."""
    found = []
    known = {each.name for each in fields(RunRecord)}
    for name, text in properties.items():
        if name.startswith(_PROPERTY):
            with suppress(ValueError, TypeError, AttributeError):
                facts: dict[str, Any] = {key: value for key, value in json.loads(text).items() if key in known}
                facts["run_id"] = name.removeprefix(_PROPERTY)
                found.append(RunRecord(**facts))
    return found


def find_run(table: Table, run_id: str) -> RunRecord | None:
    """What a table, as it was last seen, says of a run: its property, else a snapshot that led to the current one."""
    name = _PROPERTY + run_id
    if name in table.properties:
        recorded = recorded_runs({name: table.properties[name]})
        if recorded:
            return recorded[0]
    snapshot = find_snapshot(table, run_id)
    if snapshot is None:
        return None
    facts = snapshot.summary.additional_properties if snapshot.summary else {}
    return RunRecord(
        run_id=run_id,
        snapshot=snapshot.snapshot_id,
        digest=facts.get(_PLAN_DIGEST, ""),
        rows=int(facts.get(_ROWS, 0)),
        rows_in=int(facts.get(_ROWS_IN, 0)),
        seconds=float(facts.get(_SECONDS, 0)),
    )


def commit_run(
    table: Table,
    name: str,
    change: Change,
    record: RunRecord,
    summary: Mapping[str, str],
    *,
    dropped: Collection[str] = (),
    check: Callable[[], None] = lambda: None,
    abandon: Callable[[], None] = lambda: None,
) -> tuple[RunRecord, bool]:
    """Commit what a run wrote as one snapshot, once.

    Args:
        table: As it was just loaded.
        name: For messages.
        change: What comes and goes.
        record: Of the run; its snapshot is filled in here.
        summary: Extra entries of the snapshot's summary.
        dropped: Ids of other runs whose property isn't needed any more.
        check: Called before each try; what it raises is the caller's.
        abandon: As in `commit_change`.

    Returns:
        The run's record, and whether this call committed it.

    Raises:
        CommitConflictError, CatalogError, NotFoundError: as `commit_change`.
    """
    from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate

    found: list[RunRecord] = []
    facts = {**record.summary, **summary}
    unneeded = {_PROPERTY + run_id for run_id in dropped if run_id != record.run_id}

    def make(seen: Table) -> Update | None:
        before = find_run(seen, record.run_id)
        found[:] = [before] if before is not None else []
        if before is not None:
            return None
        check()
        try:
            update = prepare_change(seen, name, change, facts)
        except CommitConflictError as error:
            raise CommitConflictError(error.message, _PLANNED) from error
        found.append(replace(record, snapshot=update.snapshot_id or 0))
        updates = (*update.updates, SetPropertiesUpdate(updates={record.name: found[0].text}))
        removals = sorted(unneeded & seen.properties.keys())
        if removals:
            updates = (*updates, RemovePropertiesUpdate(removals=removals))
        said = found[0].text

        def landed(now: Table) -> bool:
            # By then somebody may have expired the snapshot, or, after a twin recorded the run, dropped the property.
            return now.properties.get(record.name) == said or update.landed(now)

        return replace(update, updates=updates, landed=landed)

    ours = change_table(table, f"commit to {name}", make, abandon) is not None
    return found[0], ours
