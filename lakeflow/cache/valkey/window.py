"""How much may be on its way to a server: more while it answers fast, half where it answers slowly.

Additive increase, multiplicative decrease: Chiu, Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance in computer networks", 1989. What is slow is measured, from a command's last byte handed to
the kernel to its answer, so a slow network counts as a slow server does.
"""

from __future__ import annotations

__all__ = ["LEAST_BYTES", "MOST_BYTES", "SLOW_SECONDS", "Window"]

LEAST_BYTES = 64 << 10
MOST_BYTES = 8 << 20
_START_BYTES = 1 << 20
_STEP_BYTES = 128 << 10
_MOST_COMMAND_BYTES = 256 << 10  # one MSET of them holds a server's only thread for a fifth of a millisecond
_COMMANDS = 4  # a window holds at least so many: the server works on one while others are on their way
SLOW_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0


class Window:
    """The window of one connection."""

    def __init__(self) -> None:
        self.bytes = _START_BYTES
        """That may be on their way."""
        self._pause = _FIRST_PAUSE_SECONDS
        self._cut_at = 0.0

    @property
    def command_bytes(self) -> int:
        """How large the next commands should be."""
        return min(self.bytes // _COMMANDS, _MOST_COMMAND_BYTES)

    def answered(self, sent: float, now: float) -> None:
        """Learn from a command that was sent and answered at these times."""
        self._pause = _FIRST_PAUSE_SECONDS
        if now - sent <= SLOW_SECONDS:
            self.bytes = min(self.bytes + _STEP_BYTES, MOST_BYTES)
        elif sent >= self._cut_at:  # those that were on their way at the last cut say nothing new
            self._cut(now)

    def refused(self, now: float) -> float:
        """Learn from a command that the server has no memory or time for; return when to try again."""
        self._cut(now)
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return now + pause

    def _cut(self, now: float) -> None:
        self.bytes = max(self.bytes // 2, LEAST_BYTES)
        self._cut_at = now
