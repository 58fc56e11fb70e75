"""What a run's publication consists of, agreed once.

Twin drivers may have come to different ends: one split a shard that the other did whole, one set aside what the
other could do. The first that has all it needs seals the run, and whoever publishes, publishes that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.errors import RunAbandonedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Seal", "part_ids"]


@dataclass(frozen=True, slots=True)
class Seal:
    """Put if absent: the first one counts."""

    state: Literal["publish", "abandoned"]
    split: dict[str, int] = field(default_factory=dict)
    """Works that were done in parts: their ids, and how many."""
    quarantined: tuple[str, ...] = ()
    """Works, and parts of works, whose rows are left out."""

    @property
    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"format": 1, "state": self.state, "split": self.split, "quarantined": list(self.quarantined)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Seal:
        """From JSON."""
        return cls(record["state"], dict(record.get("split", {})), tuple(record.get("quarantined", ())))

    def check(self, run_id: str) -> None:
        """Refuse to go on with a run that was given up.

        Raises:
            RunAbandonedError: it was.
        """
        if self.state == "abandoned":
            raise abandoned(run_id)

    def published(self, work_ids: Iterable[str]) -> Iterator[str]:
        """Ids of the markers that are published, in the order of the works."""
        left_out = frozenset(self.quarantined)
        for work_id in work_ids:
            parts = part_ids(work_id, self.split[work_id]) if work_id in self.split else (work_id,)
            if work_id not in left_out:
                yield from (part for part in parts if part not in left_out)


def part_ids(work_id: str, parts: int) -> tuple[str, ...]:
    """Of a split work: `shard-00007.1of4` and so on."""
    return tuple(f"{work_id}.{number}of{parts}" for number in range(1, parts + 1))


def abandoned(run_id: str) -> RunAbandonedError:
    """What is said of a run that was given up."""
    return RunAbandonedError(
        f"Run {run_id!r} was given up, since its driver had been silent for long.",
        "use another run id; what this one wrote may be gone already.",
    )
