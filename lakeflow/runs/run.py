"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from lakeflow.runs.sink import Publication

__all__ = ["Run"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to."""

    run_id: str
    publication: Publication | None
    """The snapshot or cache version it published; None without `into`."""
    shards: int
    ran: int
    """Shards that this call ran itself; the others had been done before."""
    seconds: float
    """Of this call."""
    results: list[Any] = field(default_factory=list)
    """The function's values in the order of the shards, where nothing was written."""

    @property
    def snapshot_id(self) -> int:
        """The snapshot that holds the run's rows.

        Raises:
            InputError: the run wrote into no table.
        """
        if self.publication is None or not self.publication.id.isdigit():
            raise InputError(f"Run {self.run_id} wrote into no table.", "give foreach a table as into=.")
        return int(self.publication.id)

    @property
    def version_id(self) -> str:
        """The cache version that holds the run's rows.

        Raises:
            InputError: the run wrote into no cache.
        """
        if self.publication is None or self.publication.id.isdigit():
            raise InputError(f"Run {self.run_id} wrote into no cache.", "use precompute.")
        return self.publication.id

    @property
    def rows(self) -> int:
        """Rows written."""
        return self.publication.rows if self.publication else 0
