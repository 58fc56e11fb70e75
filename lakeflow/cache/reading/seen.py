"""The version that a reader has open, and how it knows that it is still the one to read."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from lakeflow.cache.files.turns import LOOK_SECONDS

if TYPE_CHECKING:
    from lakeflow.cache.files.pointer import Stamp
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A version that the pointer named."""

    opened: OpenVersion
    stamp: Stamp | None
    """Of the pointer."""
    turns: memoryview[int] | None
    """Changes when somebody replaces the pointer; see `turns`."""
    turn: int
    """What it said before the pointer was read; -1 where it says nothing."""
    until: float
    """When to look at the pointer in any case, by `time.monotonic`."""

    @classmethod
    def of(cls, opened: OpenVersion, stamp: Stamp | None, turns: memoryview[int] | None, turn: int) -> Seen:
        """Note what was seen just now; an odd turn says that the pointer may have been replaced since."""
        usable = turns is not None and turn % 2 == 0
        return cls(opened, stamp, turns, turn if usable else -1, monotonic() + LOOK_SECONDS)

    def holds(self) -> bool:
        """Whether it is the version to read, as far as can be told without a look at the pointer."""
        turns = self.turns
        return turns is not None and turns[0] == self.turn and monotonic() < self.until

    def turn_now(self) -> int:
        """What the number says now."""
        return self.turns[0] if self.turns is not None else 0
