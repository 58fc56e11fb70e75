"""What ran where and when: one row for each try that left a trace, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from lakeflow.runs.report.record import RunRecord

__all__ = ["Tries", "column", "marker_seconds", "spread_over", "tries_of"]


@dataclass(frozen=True, slots=True)
class Tries:
    """Tries that say when they began, in the order they began; all arrays are of one length."""

    works: list[str]
    """Ids of shards or parts."""
    numbers: list[int]
    """Which attempt: 0 for the first."""
    workers: list[str]
    """`host · process`."""
    failed: npt.NDArray[np.bool_]
    started: npt.NDArray[np.float64]
    """Unix seconds."""
    ended: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.works)


def tries_of(record: RunRecord) -> Tries:
    """All tries of a run: those that ended well, and those that failed."""
    rows = [
        *((marker, False, marker_seconds(marker)) for marker in record.markers),
        *((failure, True, float(failure.get("seconds") or 0)) for failure in record.failures),
    ]
    timed = [row for row in rows if row[0].get("started")]
    timed.sort(key=lambda row: (row[0]["started"], str(row[0]["shard"])))
    started = np.array([float(facts["started"]) for facts, _, _ in timed], np.float64)
    return Tries(
        works=[str(facts["shard"]) for facts, _, _ in timed],
        numbers=[int(facts.get("attempt", 0)) for facts, _, _ in timed],
        workers=[_worker(facts.get("worker")) for facts, _, _ in timed],
        failed=np.array([failed for _, failed, _ in timed], np.bool_),
        started=started,
        ended=started + np.array([max(0.0, seconds) for _, _, seconds in timed], np.float64),
    )


def marker_seconds(marker: Mapping[str, Any]) -> float:
    """What an attempt took from its first line to its last."""
    return float(sum(marker.get("seconds", {}).values()))


def _worker(facts: Mapping[str, Any] | None) -> str:
    """A worker that was lost may have left no name."""
    return f"{facts.get('host', '?')} · {facts.get('pid', '?')}" if facts else "unknown worker"


def spread_over(
    edges: npt.NDArray[np.float64],
    started: npt.NDArray[np.float64],
    ended: npt.NDArray[np.float64],
    amounts: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """How much of `amounts` falls between neighbouring edges, each spread evenly over its interval.

    Args:
        edges: Ascending, n + 1 of them.
        started: Where each interval begins.
        ended: Where it ends; one of no length falls where it is.
        amounts: What each brings.

    Returns:
        n sums.
    """
    length = np.maximum(ended - started, 1e-9)
    reached = [float(np.sum(amounts * np.clip((edge - started) / length, 0.0, 1.0))) for edge in edges]
    return np.diff(np.array(reached))


def column(facts: Iterable[Mapping[str, Any]], *names: str) -> npt.NDArray[np.float64]:
    """One number of each, found under nested names; 0 where it isn't said."""
    found: list[float] = []
    for each in facts:
        value: Any = each
        for name in names:
            value = value.get(name) if value else None
        found.append(float(value or 0))
    return np.array(found, np.float64)
