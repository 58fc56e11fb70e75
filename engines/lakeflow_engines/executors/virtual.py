"""A fake executor: nothing runs, time is a number, and every call ends when it is told to.

For tests of schedulers: what would take hours on a cluster, and go wrong once in a thousand times,
happens at once and the same way each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.seam import Completion
from lakeflow_io.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fate", "VirtualExecutor"]


@dataclass(frozen=True, slots=True)
class Fate:
    """How a call is going to end."""

    seconds: float
    """That it takes; infinite for one that never ends."""
    value: Any = None
    error: BaseException | None = None


class VirtualExecutor:
    """Runs first what was submitted first, `slots` at a time, on a clock of its own.

    A call that is cancelled while it runs goes on unheard and keeps its slot, as on a cluster.

    Args:
        fate: Decides from a call's key and argument how it ends; asked when the call begins.
        slots: Calls at one time; may be changed at any time.
        memory: Bytes.
        kills: Whether `kill` works.
    """

    name = "virtual"

    def __init__(
        self, fate: Callable[[str, Any], Fate], slots: int, *, memory: int | None = None, kills: bool = True
    ) -> None:
        self.slots, self.memory, self.kills = slots, memory, kills
        self.now = 0.0
        """Seconds since the beginning."""
        self.began: list[tuple[float, str]] = []
        """When which call began."""
        self.most = 0
        """Calls submitted and not ended, at most."""
        self._fate = fate
        self._queued: dict[str, Any] = {}
        self._running: dict[str, tuple[float, Fate]] = {}
        self._unheard: set[str] = set()

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Queue a call."""
        del call
        self._queued[key] = argument
        self._begin()
        self.most = max(self.most, len(self._queued) + len(self._running))

    def next(self, timeout: float | None = None) -> Completion | None:
        """Let time pass until a call ends, or until the timeout."""
        limit = math.inf if timeout is None else self.now + timeout
        while True:
            self._begin()
            key, ends = min(
                ((key, ends) for key, (ends, _) in self._running.items()),
                key=lambda each: each[1],
                default=("", math.inf),
            )
            if ends > limit or ends == math.inf:
                if limit == math.inf:
                    raise InternalError("A virtual executor was waited for, and nothing is ever going to end.")
                self.now = limit
                return None
            self.now = max(self.now, ends)
            _, fate = self._running.pop(key)
            self._begin()
            if key in self._unheard:
                self._unheard.discard(key)
                continue
            return Completion(key, value=fate.value, error=fate.error)

    def cancel(self, key: str) -> None:
        """Forget a call."""
        if self._queued.pop(key, None) is None and key in self._running:
            self._unheard.add(key)

    def kill(self, key: str) -> bool:
        """End a call."""
        if self.kills:
            self._queued.pop(key, None)
            self._running.pop(key, None)
            self._begin()
        return self.kills

    def close(self) -> None:
        """Forget all calls."""
        self._queued.clear()
        self._running.clear()

    def _begin(self) -> None:
        while self._queued and len(self._running) < self.slots:
            key = next(iter(self._queued))
            argument = self._queued.pop(key)
            fate = self._fate(key, argument)
            self.began.append((self.now, key))
            self._running[key] = (self.now + fate.seconds, fate)
