"""A process that tells its phases, as the one that kills it sees it."""

from __future__ import annotations

import multiprocessing
import time
from itertools import pairwise
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from benchmarks.chaos.processes import ended, kill

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.chaos.processes import Processes

__all__ = ["STUCK_SECONDS", "Actor"]

STUCK_SECONDS = 120  # only a hang takes that long, on any machine


class Actor:
    """Started with the pipe through which it tells; see `work`.

    Args:
        processes: Starts it.
        target: One of `work`.
        arguments: Of it, behind the pipe.
    """

    def __init__(self, processes: Processes, target: Callable[..., None], *arguments: Any) -> None:
        self._pipe, theirs = multiprocessing.Pipe(duplex=False)
        self._process = processes.start(target, theirs, *arguments)
        theirs.close()
        self.marks: list[tuple[str, float]] = []
        """Phases and when each began, by `time.monotonic`."""

    @property
    def phase(self) -> str:
        """The last one that began."""
        self._drain()
        return self.marks[-1][0] if self.marks else "starting"

    def reaches(self, phase: str) -> bool:
        """Wait until a phase begins, from now on; False where it ends, or `STUCK_SECONDS` do, before."""
        self._drain()
        seen, limit = len(self.marks), time.monotonic() + STUCK_SECONDS
        while phase not in [each for each, _ in self.marks[seen:]]:
            wait([self._pipe, self._process.sentinel], limit - time.monotonic())
            if not self._drain() or time.monotonic() > limit:
                return phase in [each for each, _ in self.marks[seen:]]
        return True

    def killed_after(self, seconds: float) -> str | None:
        """Kill it then; returns the phase in which it was, None where it had ended."""
        ended([self._process], seconds)
        alive = kill(self._process)
        return self.phase if alive else None

    def lengths(self) -> list[tuple[str, float]]:
        """Each phase that is over, and how many seconds it took."""
        self._drain()
        return [(phase, ended - begun) for (phase, begun), (_, ended) in pairwise(self.marks)]

    def ends(self) -> bool:
        """Wait for its end; False where it has to be killed after `STUCK_SECONDS`."""
        stuck = not ended([self._process], STUCK_SECONDS)
        kill(self._process)
        self._drain()
        return not stuck

    def _drain(self) -> bool:
        """Take what was told; False where no more will come."""
        try:
            while self._pipe.poll():
                self.marks.append(self._pipe.recv())
        except (EOFError, OSError):  # its end is closed, maybe in the middle of a message
            return False
        return True
