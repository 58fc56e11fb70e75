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
    """WorkerLostError where the process died under it, OutOfMemoryError where that was for its memory."""


class Executor(Protocol):
    """Runs calls; used by one thread."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def slots(self) -> int:
        """Calls that run at one time; changes as workers come and go, and may be 0 for a while."""
        ...

    @property
    def memory(self) -> int | None:
        """Bytes that all calls together may use; None where nobody knows."""
        ...

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Take a call over: first come, first run, `slots` at a time. A key is used once.

        It may begin as late as with the next `next`: an executor for which messages are dear sends many calls in one.

        Raises:
            FunctionError: it can't be sent to where calls run.
            RunError: nothing can be run any more.
        """
        ...

    def next(self, timeout: float | None = None) -> Completion | None:
        """Wait for any submitted call to end. Each is reported once.

        Args:
            timeout: Seconds; None for as long as it takes. With nothing submitted it is a pause.

        Returns:
            None when the time is over, or earlier where `slots` has changed.

        Raises:
            RunError: nothing can be run any more.
        """
        ...

    def cancel(self, key: str) -> None:
        """Let go of a call: it isn't reported any more.

        What hasn't begun never begins; what runs may go on, unheard. This may be sent with the next `next`.
        """
        ...

    def kill(self, key: str) -> bool:
        """End a call by ending the process that runs it, which another one replaces; it isn't reported any more.

        Returns:
            False where that can't be done: then nothing has changed.
        """
        ...

    def close(self) -> None:
        """Cancel what hasn't begun, let go of threads, processes and connections."""
        ...
