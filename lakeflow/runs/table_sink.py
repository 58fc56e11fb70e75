"""A table as a run's output: workers stage data files, the driver commits one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow.runs.sink import Publication, RunLabel
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.commit import commit_change, find_snapshot
from lakeflow_io.iceberg.stage import Stager
from lakeflow_io.iceberg.static import refuse_read_only
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.iceberg.vended import table_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table.snapshots import Snapshot

    from lakeflow.table import Table

__all__ = ["TableSink"]

_PLAN_DIGEST = "lakeflow.plan-digest"
_ROWS = "lakeflow.rows"
_ROWS_IN = "lakeflow.rows-in"
_SECONDS = "lakeflow.seconds"


class TableSink:
    """Appends what a run made to a table, once."""

    def __init__(self, table: Table) -> None:
        self._name = table.name
        refuse_read_only(table.iceberg, table.name)
        self._table = table.refresh().iceberg  # the plan describes the table as it is now

    @property
    def location(self) -> str:
        """The table's folder."""
        return str(self._table.location())

    @property
    def store_properties(self) -> dict[str, str]:
        """How to reach it."""
        return table_store(self._table)

    def describe(self) -> dict[str, Any]:
        """The table and how it was laid out."""
        return {
            "table": self._name,
            "uuid": str(self._table.metadata.table_uuid),
            "schema_id": self._table.schema().schema_id,
            "spec_id": self._table.spec().spec_id,
        }

    def writer(self) -> Stager:
        """The worker's side."""
        return Stager.for_table(self._table, self._name)

    def find(self, run_id: str) -> Publication | None:
        """The snapshot of this run among the ancestors of the current one, read anew."""
        self._refresh()
        snapshot = find_snapshot(self._table, run_id)
        return None if snapshot is None else _publication(snapshot)

    def publish(self, label: RunLabel, staged: Sequence[dict[str, Any]]) -> Publication:
        """Commit all files as one APPEND snapshot."""
        summary = {
            _PLAN_DIGEST: label.plan_digest,
            "lakeflow.source": label.source or "",
            "lakeflow.shards": str(label.shards),
            _ROWS: str(sum(file["rows"] for file in staged)),
            _ROWS_IN: str(label.rows_in),
            _SECONDS: str(label.seconds),
        }
        self._refresh()  # hours after it was planned
        change = Change("append", added=list(staged))
        snapshot, _ = commit_change(self._table, self._name, change, summary, label.run_id)
        return _publication(snapshot)

    def _refresh(self) -> None:
        with translated(f"refresh {self._name}"):
            self._table.refresh()


def _publication(snapshot: Snapshot) -> Publication:
    facts = snapshot.summary.additional_properties if snapshot.summary else {}
    return Publication(
        id=str(snapshot.snapshot_id),
        plan_digest=facts.get(_PLAN_DIGEST, ""),
        rows=int(facts.get(_ROWS, 0)),
        rows_in=int(facts.get(_ROWS_IN, 0)),
        seconds=float(facts.get(_SECONDS, 0)),
    )
