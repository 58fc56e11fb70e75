"""One call after another in this thread: for debugging, and as the reference for the others."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.seam import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SerialExecutor"]


class SerialExecutor:
    """Runs a call when its result is waited for."""

    name = "serial"
    slots = 1

    def __init__(self) -> None:
        self._queue: deque[tuple[str, Callable[[Any], Any], Any]] = deque()

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Queue a call."""
        self._queue.append((key, call, argument))

    def next(self) -> Completion:
        """Run the oldest call."""
        key, call, argument = self._queue.popleft()
        try:
            return Completion(key, value=call(argument))
        except Exception as error:  # noqa: BLE001  (whatever a call raises is its outcome)
            return Completion(key, error=error)

    def close(self) -> None:
        """Forget what hasn't begun."""
        self._queue.clear()
