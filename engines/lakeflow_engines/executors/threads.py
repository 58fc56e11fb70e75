"""Threads of this process: no start-up, no pickling; for functions that let go of the GIL."""

from __future__ import annotations

import math
import time
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.seam import Completion
from lakeflow_io.budget import memory_limit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadExecutor"]

# How long one wait is. A signal that comes between the last instruction and the wait for a lock doesn't end that wait,
# and Python's handler runs only when it is over: without an end, Ctrl-C would be noticed when a call ends.
_WAIT_SECONDS = 1.0


class ThreadExecutor:
    """A pool of `slots` threads.

    A thread can't be stopped. One whose call was cancelled is left to itself and another one takes
    its place; being a daemon, it doesn't keep the process from ending.
    """

    name = "threads"

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.memory: int | None = memory_limit()
        self._calls: SimpleQueue[tuple[str, Callable[[Any], Any], Any] | None] = SimpleQueue()
        self._ended: SimpleQueue[Completion] = SimpleQueue()
        # Guards what follows: keys that wait, and which thread runs which.
        self._lock = Lock()
        self._heard: set[str] = set()
        self._waiting: set[str] = set()
        self._running: dict[str, Thread] = {}
        self._threads: set[Thread] = set()

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Start or queue a call."""
        self._heard.add(key)
        with self._lock:
            self._waiting.add(key)
            if len(self._threads) < self.slots:
                self._start()
        self._calls.put((key, call, argument))

    def next(self, timeout: float | None = None) -> Completion | None:
        """Wait for any call to end."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                completion = self._ended.get(timeout=max(0.0, min(_WAIT_SECONDS, left)))
            except Empty:
                if left <= _WAIT_SECONDS:
                    return None
                continue
            if completion.key in self._heard:
                self._heard.discard(completion.key)
                return completion

    def cancel(self, key: str) -> None:
        """Forget a call; a thread that runs it is replaced."""
        self._heard.discard(key)
        with self._lock:
            self._waiting.discard(key)
            thread = self._running.pop(key, None)
            if thread is not None:
                self._threads.discard(thread)
                self._start()

    def kill(self, key: str) -> bool:
        """A thread can't be stopped."""
        del key
        return False

    def close(self) -> None:
        """Cancel what hasn't begun; wait for the calls that run and were not cancelled."""
        with self._lock:
            self._waiting.clear()
            threads, self._threads = self._threads, set()
        for _ in threads:
            self._calls.put(None)
        for thread in threads:
            thread.join()

    def _start(self) -> None:
        thread = Thread(target=self._work, name="lakeflow-task", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        me = current_thread()
        while (item := self._calls.get()) is not None:
            key, call, argument = item
            with self._lock:
                if key not in self._waiting:
                    continue
                self._waiting.discard(key)
                self._running[key] = me
            completion = _run(key, call, argument)
            del item, argument  # a thread that waits for its next call holds nothing of the last one
            with self._lock:
                if self._running.pop(key, None) is None:
                    return  # was cancelled: another thread is here instead
            self._ended.put(completion)
            del completion


def _run(key: str, call: Callable[[Any], Any], argument: Any) -> Completion:
    try:
        return Completion(key, value=call(argument))
    except BaseException as error:  # noqa: BLE001  (whatever a call raises is its outcome)
        return Completion(key, error=error)
