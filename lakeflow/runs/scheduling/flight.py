"""The attempts that were submitted and haven't ended: first those that run, then those that wait for it.

An executor doesn't tell when a call begins. It runs first what came first: so of what hasn't ended, the
oldest ones run, as many as it has slots, whatever else waits behind them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, ValuesView

    from lakeflow.runs.attempts.attempt import Attempt

__all__ = ["Flight", "InFlight"]


@dataclass(slots=True, eq=False)
class Flight:
    """An attempt that was submitted and hasn't ended."""

    attempt: Attempt
    alone: bool
    began: float | None = None
    """When it left the executor's queue, by our clock; late by what the news of others' ends takes."""
    wall: float = 0.0
    """The same in unix seconds."""


class InFlight:
    """All of them, by key. What it is asked for each attempt takes the same time however many there are.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[str, Flight] = {}
        self._waiting: dict[str, Flight] = {}
        self.bytes = 0
        """Of their works."""
        self.alone = False
        """Whether one of them has to be the only one."""

    def __len__(self) -> int:
        return len(self._begun) + len(self._waiting)

    @property
    def begun(self) -> ValuesView[Flight]:
        """Those that run."""
        return self._begun.values()

    @property
    def waiting(self) -> ValuesView[Flight]:
        """Those that don't yet."""
        return self._waiting.values()

    def add(self, attempt: Attempt, *, alone: bool) -> None:
        """One that was submitted."""
        self._waiting[attempt.key] = Flight(attempt, alone)
        self.bytes += attempt.work.bytes
        self.alone = self.alone or alone

    def remove(self, key: str) -> Flight | None:
        """One that isn't waited for any more; None where it wasn't."""
        each = self._begun.pop(key, None) or self._waiting.pop(key, None)
        if each is not None:
            self.bytes -= each.attempt.work.bytes
            self.alone = self.alone and not each.alone
        return each

    def begin(self, slots: int) -> Iterator[Flight]:
        """Take note of those whose turn has come, and tell which."""
        while self._waiting and len(self._begun) < slots:
            key = next(iter(self._waiting))
            each = self._begun[key] = self._waiting.pop(key)
            self.note(each)
            yield each

    def note(self, each: Flight) -> None:
        """That it has begun by now."""
        each.began, each.wall = self._clock(), time.time()

    def of(self, work_id: str) -> list[str]:
        """Keys of the attempts at one work."""
        return [
            key
            for some in (self._begun, self._waiting)
            for key, each in some.items()
            if each.attempt.work.id == work_id
        ]
