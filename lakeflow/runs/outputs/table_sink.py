"""A table as a run's output: workers stage data files, the driver commits one snapshot."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lakeflow.runs.outputs.replacing import Mode, Replacing, check_mode
from lakeflow.runs.outputs.sink import Publication, RunLabel
from lakeflow.runs.state.journal import Journal
from lakeflow_io.errors import LakeflowError
from lakeflow_io.iceberg.pack import Packer
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.iceberg.run_commit import RunRecord, commit_run, find_run, recorded_runs
from lakeflow_io.iceberg.stage import Stager
from lakeflow_io.iceberg.static import refuse_read_only
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.iceberg.vended import table_store
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyiceberg.table import Table as IcebergTable

    from lakeflow.table import Table
    from lakeflow_io.iceberg.pack import PackedManifest

__all__ = ["TableSink"]

# Of a partial run's shards, those that its snapshot names.
_NAMED = 10
# Properties of other runs that one commit looks after; it leaves about one.
_DROPPED = 16


class TableSink:
    """Adds what a run made to a table, once.

    Args:
        table: Refreshed here: the plan describes it as it is now.
        mode: What goes from it.
        where: Of an overwrite, which rows.
    """

    def __init__(self, table: Table, mode: Mode = "append", where: str | None = None) -> None:
        check_mode(mode, where)
        self._name, self._where = table.name, where
        self._mode: Mode = mode
        refuse_read_only(table.iceberg, table.name)
        self._table: IcebergTable = table.refresh().iceberg
        if where is not None:
            parse_filter(where, self._table.schema(), table.name)

    @property
    def location(self) -> str:
        """The table's folder."""
        return str(self._table.location())

    @property
    def store_properties(self) -> dict[str, str]:
        """How to reach it."""
        return table_store(self._table)

    def describe(self) -> dict[str, Any]:
        """The table, how it was laid out, and what goes from it."""
        return {
            "table": self._name,
            "uuid": str(self._table.metadata.table_uuid),
            "schema_id": self._table.schema().schema_id,
            "spec_id": self._table.spec().spec_id,
            "mode": self._mode,
            "where": self._where,
        }

    def settings(self) -> dict[str, Any]:
        """None: the plan says it all."""
        return {}

    def head(self) -> int | None:
        """The current snapshot, as it was last seen."""
        current = self._table.current_snapshot()
        return None if current is None else current.snapshot_id

    def writer(self) -> Stager:
        """The worker's side."""
        return Stager.for_table(self._table, self._name)

    def packer(self) -> Packer | None:
        """What writes manifests; None for a table of format version 1."""
        return Packer.for_table(self._table)

    def find(self, run_id: str) -> Publication | None:
        """What the table, read anew, says of the run."""
        self._refresh()
        found = find_run(self._table, run_id)
        return None if found is None else _publication(found)

    def publish(
        self,
        label: RunLabel,
        staged: Sequence[dict[str, Any]],
        packed: Sequence[PackedManifest] = (),
        check: Callable[[], None] = lambda: None,
    ) -> Publication:
        """Commit all files as one snapshot."""
        self._refresh()  # hours after it was planned
        rows = sum(file["rows"] for file in staged) + sum(manifest.rows for manifest in packed)
        record = RunRecord(
            run_id=label.run_id,
            snapshot=0,
            digest=label.plan_digest,
            rows=rows,
            rows_in=label.rows_in,
            seconds=label.seconds,
            folder=label.folder,
            output=label.output,
        )
        replacing = Replacing(self._table, self._name, f"{label.run_id}-rest-a0")
        try:
            change = replacing.change(self._mode, self._where, label.planned_on, staged, packed)
        except BaseException:
            replacing.discard()
            raise
        landed, ours = commit_run(
            self._table,
            self._name,
            change,
            record,
            _summary(label),
            dropped=self._unneeded(label.run_id),
            check=check,
            abandon=replacing.discard,
        )
        if not ours:
            replacing.discard()  # a twin was faster
        return _publication(landed)

    def _unneeded(self, run_id: str) -> list[str]:
        """Other runs that have recorded their commit in their own folders."""
        found = []
        others = [each for each in recorded_runs(self._table.properties) if each.run_id != run_id and each.folder]
        transport = open_transport(self.store_properties)
        for other in others[:_DROPPED]:
            with suppress(LakeflowError):  # another table's folder may be out of reach from here
                if Journal(transport, other.folder).committed(other.output) is not None:
                    found.append(other.run_id)
        return found

    def _refresh(self) -> None:
        with translated(f"refresh {self._name}"):
            self._table.refresh()


def _summary(label: RunLabel) -> dict[str, str]:
    facts = {"lakeflow.source": label.source or "", "lakeflow.shards": str(label.shards)}
    if label.quarantined:
        named = ",".join(label.quarantined[:_NAMED])
        more = f",... ({len(label.quarantined)} in all)" if len(label.quarantined) > _NAMED else ""
        facts |= {"lakeflow.partial": "true", "lakeflow.quarantined": named + more}
    return facts


def _publication(record: RunRecord) -> Publication:
    return Publication(
        id=str(record.snapshot),
        plan_digest=record.digest,
        rows=record.rows,
        rows_in=record.rows_in,
        seconds=record.seconds,
    )
