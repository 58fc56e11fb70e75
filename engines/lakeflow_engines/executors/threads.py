"""Threads of this process: no start-up, no pickling; for functions that let go of the GIL."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.seam import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadExecutor"]


class ThreadExecutor:
    """A pool of `slots` threads."""

    name = "threads"

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pool = ThreadPoolExecutor(slots, "lakeflow-task")
        self._ended: SimpleQueue[Completion] = SimpleQueue()

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Start or queue a call."""
        future: Future[Any] = self._pool.submit(call, argument)
        future.add_done_callback(lambda done: self._ended.put(_completion(key, done)))

    def next(self) -> Completion:
        """Wait for any call to end."""
        return self._ended.get()

    def close(self) -> None:
        """Cancel what hasn't begun; wait for the calls that run, since a thread can't be stopped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _completion(key: str, done: Future[Any]) -> Completion:
    if done.cancelled():
        return Completion(key, error=RuntimeError("cancelled"))
    error = done.exception()
    return Completion(key, error=error) if error else Completion(key, value=done.result())
