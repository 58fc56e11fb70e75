"""What a run left: the rows by an independent reader, the snapshots, the files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.chaos.job import expected
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.catalog import Catalog

__all__ = ["Found", "check_rows", "orphans"]

_RUN_ID = "lakeflow.run-id"


@dataclass
class Found:
    """Sums over everything that was checked; all of them are 0 where nothing went wrong."""

    duplicates: int = 0
    """Rows that are there more than once."""
    lost: int = 0
    """Rows that aren't there."""
    corrupt: int = 0
    """Rows with a wrong value, and rows that nobody wrote."""
    extra_snapshots: int = 0
    """Snapshots of a run beyond one an output."""
    orphans_unrecorded: int = 0
    """Files that no snapshot names, and whose name doesn't tell the run that could remove them."""
    orphans_left: int = 0
    """Files that no snapshot names after abandoned files were collected."""
    stuck: int = 0
    """Runs that didn't end, however often they were resumed."""
    unexpected: list[str] = field(default_factory=list)
    """Errors of other libraries that came out."""

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not any(vars(self).values())


def check_rows(catalog: Catalog, name: str, run_id: str, wanted: np.ndarray, foreign: int, found: Found) -> None:
    """Compare an output with the ids that it should have.

    Args:
        catalog: pyiceberg's, which reads the rows.
        name: The output.
        run_id: Of the run that wrote it.
        wanted: The run's ids, each of which belongs there once.
        foreign: Rows of id -1 that another writer has appended.
        found: Where faults are counted.
    """
    table = catalog.load_table(name)
    rows = table.scan().to_arrow()
    ids, values = rows["id"].to_numpy(), rows["value"].to_numpy()
    own = ids >= 0
    found.lost += max(0, foreign - int((~own).sum()))
    found.duplicates += max(0, int((~own).sum()) - foreign)
    ids, values = ids[own], values[own]
    unique = np.unique(ids)
    found.duplicates += len(ids) - len(unique)
    found.lost += len(np.setdiff1d(wanted, unique))
    found.corrupt += int((values != expected(ids)).sum()) + len(np.setdiff1d(unique, wanted))
    runs = Counter(_run_of(snapshot) for snapshot in table.metadata.snapshots)
    found.extra_snapshots += max(0, runs[run_id] - 1)


def _run_of(snapshot: Any) -> str | None:
    return snapshot.summary and snapshot.summary.additional_properties.get(_RUN_ID)


def orphans(catalog: Catalog, properties: dict[str, str], names: Sequence[str]) -> list[str]:
    """Data files of tables that none of their snapshots names."""
    left: list[str] = []
    for name in names:
        table = catalog.load_table(name)
        live = {
            entry.data_file.file_path
            for snapshot in table.metadata.snapshots
            for manifest in snapshot.manifests(table.io)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        }
        there = open_transport(properties).list(f"{table.location()}/data")
        left += [info.uri for info in there if info.uri not in live]
    return left
