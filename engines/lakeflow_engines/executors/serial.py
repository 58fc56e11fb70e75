"""One call after another in this thread: for debugging, and as the reference for the others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.seam import Completion
from lakeflow_io.budget import memory_limit
from lakeflow_io.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SerialExecutor"]


class SerialExecutor:
    """Runs a call when its result is waited for."""

    name = "serial"
    slots = 1

    def __init__(self) -> None:
        self.memory: int | None = memory_limit()
        self._queue: dict[str, tuple[Callable[[Any], Any], Any]] = {}

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Queue a call."""
        self._queue[key] = (call, argument)

    def next(self, timeout: float | None = None) -> Completion | None:
        """Run the oldest call, however long it takes; none where there is no time at all."""
        if timeout is not None and timeout <= 0:
            return None
        if not self._queue:
            if timeout is None:
                raise InternalError("A serial executor without calls was waited for.")
            time.sleep(timeout)
            return None
        key = next(iter(self._queue))
        call, argument = self._queue.pop(key)
        try:
            return Completion(key, value=call(argument))
        except Exception as error:  # noqa: BLE001  (whatever a call raises is its outcome)
            return Completion(key, error=error)

    def cancel(self, key: str) -> None:
        """Forget a call."""
        self._queue.pop(key, None)

    def kill(self, key: str) -> bool:
        """This thread can't be replaced."""
        del key
        return False

    def close(self) -> None:
        """Forget what hasn't begun."""
        self._queue.clear()
