"""What tasks do: a shard of a table each, or an item of a list each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

__all__ = ["ATTEMPT", "Item", "Work", "largest_first", "whole_id"]

ATTEMPT = r"(?:shard|item)-\d+(?:\.\d+of\d+)?-a\d+"
"""A regular expression: a work's id, and the number of a try at it. `Attempt.key` has it behind the run's id, and so do
the names of all files that the try writes."""


class Work(Protocol):
    """What one task does. `Shard` and `Item` are the two there are."""

    @property
    def id(self) -> str:
        """Names its marker and its output files; unique in a run, and the same in every driver."""
        ...

    @property
    def index(self) -> int:
        """Its place in the run, and in the results."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes in the store; 0 where nothing is read."""
        ...

    @property
    def rows(self) -> int:
        """Rows, about."""
        ...

    def split(self) -> Sequence[Work]:
        """Parts that are less at a time and the same together; none where it can't be cut."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """A value that a function is called with; it travels to the worker, so it is kept small."""

    index: int
    value: Any

    @property
    def id(self) -> str:
        """`item-00007`."""
        return f"item-{self.index:05d}"

    @property
    def bytes(self) -> int:
        """Nothing is read."""
        return 0

    @property
    def rows(self) -> int:
        """One."""
        return 1

    def split(self) -> Sequence[Work]:
        """A value can't be cut."""
        return ()


def whole_id(work_id: str) -> str:
    """Of a part, `shard-00007.2of4`, the id of its shard; of any other work its own."""
    return work_id.partition(".")[0]


_W = TypeVar("_W", bound=Work)


def largest_first(works: Sequence[_W], left_out: Container[str] = ()) -> Iterator[_W]:
    """The order in which works run: the last to begin is then the least.

    Longest processing time first is at most 4/3 of the shortest schedule (Graham 1969, "Bounds on
    Multiprocessing Timing Anomalies"), and far nearer with many works. Each is made when its turn comes.

    Args:
        works: All of a run.
        left_out: Ids of those that don't run.
    """
    sizes = np.fromiter((work.bytes for work in works), np.int64, len(works))
    for index in np.argsort(-sizes, kind="stable"):
        work = works[int(index)]
        if work.id not in left_out:
            yield work
