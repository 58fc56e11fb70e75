"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from lakeflow.runs.failures import Failure
    from lakeflow.runs.outputs.sink import Publication
    from lakeflow.runs.state.journal import Journal
    from lakeflow.runs.work import Work

__all__ = ["Run"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to."""

    run_id: str
    publication: Publication | None
    """The snapshot or cache version it published, of several the first; None without `into`."""
    shards: int
    """Shards, or items."""
    ran: int
    """Those that this call ran itself; the others had been done before."""
    seconds: float
    """Of this call."""
    results: list[Any] = field(default_factory=list)
    """The function's values in the order of the shards, where nothing was written; None for those set aside."""
    publications: dict[str, Publication] = field(default_factory=dict)
    """What it published, by output; a single one is called `output`."""
    quarantined: dict[str, Failure] = field(default_factory=dict)
    """The last failure of each shard, or part of one, that was set aside: its rows are not there."""
    quarantined_shards: Sequence[Work] = ()
    """The same shards and items, to be run again by another run."""
    journal: Journal | None = field(default=None, repr=False, compare=False)
    """The run's folder; None without `into`."""

    @property
    def partial(self) -> bool:
        """Whether anything was set aside."""
        return bool(self.quarantined)

    @property
    def snapshot_id(self) -> int:
        """The snapshot that holds the run's rows; of several outputs, that of the first.

        Raises:
            InputError: the run wrote into no table.
        """
        if self.publication is None or not self.publication.id.isdigit():
            raise InputError(f"Run {self.run_id} wrote into no table.", "give foreach a table as into=.")
        return int(self.publication.id)

    @property
    def snapshot_ids(self) -> dict[str, int]:
        """The snapshot of each table, by output."""
        return {name: int(each.id) for name, each in self.publications.items() if each.id.isdigit()}

    @property
    def version_id(self) -> str:
        """The cache version that holds the run's rows.

        Raises:
            InputError: the run wrote into no cache.
        """
        if self.publication is None or self.publication.id.isdigit():
            raise InputError(f"Run {self.run_id} wrote into no cache.", "use precompute.")
        return self.publication.id

    def report(self, file: str | os.PathLike[str] | None = None) -> Path:
        """Write one HTML page that shows what happened: `lakeflow report` in a shell.

        Timeline, throughput, skew, failures with their tracebacks, bytes, waiting, memory and lineage, in one
        file that needs nothing else.

        Args:
            file: Where; default `<run id>.html` in the current folder. One that is there is replaced.

        Returns:
            The file's path.

        Raises:
            InputError: the run wrote into nothing, so nothing is kept of it; or the file can't be written.
            StoreError: the run's folder can't be read.
        """
        if self.journal is None:
            raise InputError(f"Nothing is kept of run {self.run_id}.", "a run with into= has a report.")
        from lakeflow.runs.report import write_report

        return write_report(self.journal, file)

    @property
    def rows(self) -> int:
        """Rows written, into all outputs."""
        if self.publication is None:
            return 0
        return sum(each.rows for each in self.publications.values())
