"""The seam between a run and what it writes into: a table's snapshot, or a cache's version.

A run has two sides, and so has its output. Workers stage: they write immutable files that nobody
sees yet and describe them in JSON. The driver publishes: one atomic step that makes all of them
visible, labelled with the run's id so that a second try can find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

__all__ = ["Publication", "RunLabel", "ShardWriter", "Sink"]


@dataclass(frozen=True, slots=True)
class RunLabel:
    """What a published output says about the run that made it."""

    run_id: str
    plan_digest: str
    source: str | None
    """The input: `table@snapshot`, or None where the items were no table shards."""
    shards: int
    rows_in: int
    """Rows that the function got, over all shards."""
    seconds: float
    """From the beginning of the driver that publishes to the moment before it does."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One visible output of a run."""

    id: str
    """The snapshot id of a table, or the version id of a cache."""
    plan_digest: str
    rows: int
    """Rows written."""
    rows_in: int = 0
    """Rows that the function got; 0 where the output doesn't keep it."""
    seconds: float = 0.0
    """What the run took; 0 where the output doesn't keep it."""


class ShardWriter(Protocol):
    """The worker's side: picklable, without a connection of its own until it writes."""

    def write(self, name: str, data: pa.Table) -> list[dict[str, Any]]:
        """Write `data` into files whose names begin with `name`; return their facts, ready for JSON.

        Every dict has at least `path` (a URI), `rows` and `bytes`. Nothing is visible to readers yet.
        """
        ...

    def discard(self, staged: Sequence[dict[str, Any]]) -> None:
        """Delete staged files that lost; one that is gone already is no error."""
        ...


class Sink(Protocol):
    """The driver's side."""

    @property
    def location(self) -> str:
        """The URI of the folder under which the run keeps its state."""
        ...

    @property
    def store_properties(self) -> dict[str, str]:
        """How to reach `location`: catalog properties, with credentials."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON facts that are part of the plan: another output is another plan."""
        ...

    def writer(self) -> ShardWriter:
        """The worker's side, to be shipped with each task."""
        ...

    def find(self, run_id: str) -> Publication | None:
        """What this run published earlier, if it did."""
        ...

    def publish(self, label: RunLabel, staged: Sequence[dict[str, Any]]) -> Publication:
        """Make all staged files visible in one atomic step.

        Raises:
            CommitConflictError: another writer won; nothing is visible.
        """
        ...
