"""The threads that decode. Tasks give nothing back, so they need no futures, which cost more than a small task."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Decoders"]


class Decoders:
    """A fixed number of threads, started when the first task comes.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._lock = Lock()
        self._closed = False

    def submit(self, task: Callable[[], None]) -> None:
        """Run `task`, which raises nothing, some time; never where they are closed before its turn comes."""
        self._tasks.put(task)
        if not self._threads:
            with self._lock:
                if not self._threads and not self._closed:
                    self._threads = [
                        Thread(target=self._run, name=f"lakeflow-decode-{number}", daemon=True)
                        for number in range(self._count)
                    ]
                    for thread in self._threads:
                        thread.start()

    def close(self) -> None:
        """Drop what hasn't begun, wait for what has."""
        with self._lock:
            self._closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._closed:
                task()
            del task  # it knows the bytes that it decoded; the next one may be long in coming
