"""The seam between the scheduler and whatever runs tasks.

An executor runs calls and reports how each ended. It doesn't retry, order or know what a shard
is: that is the scheduler's, so that every engine behaves the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Completion", "Executor"]


@dataclass(frozen=True, slots=True)
class Completion:
    """How one call ended."""

    key: str
    value: Any = None
    error: BaseException | None = None
    """WorkerLostError where the process died under it."""


class Executor(Protocol):
    """Runs calls; used by one thread."""

    name: str
    slots: int
    """Calls that run at one time."""

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Start `call(argument)`, or queue it. A key is used once."""
        ...

    def next(self) -> Completion:
        """Wait for any submitted call to end. Each is reported once."""
        ...

    def close(self) -> None:
        """Cancel what hasn't begun, let go of threads, processes and connections."""
        ...
