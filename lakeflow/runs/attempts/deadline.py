"""A soft deadline: a task that takes too long gets an exception inside of it.

Python can raise an exception in another thread (`PyThreadState_SetAsyncExc`); it comes up at that
thread's next bytecode. Two things make that safe enough to use:

- It is raised only while the caller's code runs. What lakeflow does in between, such as reading a
  batch or writing rows, is `masked`: it is left when it ends, never in the middle.
- A task that ends while its time runs out either has the exception or hasn't: ending and raising
  exclude each other, and one that is on its way is taken back.

A task that waits in C code (a query, a lock, a socket) has no next bytecode. For that there is the
hard deadline, which ends its process. A task that swallows the exception gets it again.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from threading import Event, Lock, Thread, get_ident
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Deadline", "Expired", "run_within"]

_T = TypeVar("_T")

# What a task has time for between two exceptions, so that each finds it out of the handler of the last one.
_AGAIN_SECONDS = 1.0


class Expired(BaseException):
    """Raised inside a task whose time is up; no Exception, so that few handlers swallow it."""


def run_within(seconds: float | None, body: Callable[[Deadline], _T]) -> _T:
    """Run `body` in this thread, for so long at most.

    Args:
        seconds: None for any time.
        body: Gets what it masks its own parts with.

    Raises:
        Expired: its time was up while it ran.
    """
    deadline = Deadline()
    if seconds is None:
        return body(deadline)
    try:
        try:
            deadline.begin(seconds)
            return body(deadline)
        finally:
            deadline.end()
    except Expired:
        deadline.end()  # it may have come up at the very call above; the next one would be a second behind
        raise


class Deadline:
    """The time of one task; without `begin` it never runs out."""

    def __init__(self) -> None:
        self.expired = False
        """Whether the time is up."""
        self._thread = get_ident()
        self._lock = Lock()
        self._over = Event()
        self._masked = 0

    def begin(self, seconds: float) -> None:
        """Let the time run."""
        Thread(target=self._watch, args=(seconds,), name="lakeflow-deadline", daemon=True).start()

    def end(self) -> None:
        """Raise nothing any more; take back what is on its way."""
        while True:
            try:
                with self._lock:
                    self._over.set()
                _take_back(self._thread)
            except Expired:
                continue
            return

    @contextmanager
    def masked(self) -> Generator[None]:
        """A part in which nothing is raised; what is due is raised at its end."""
        with self._lock:
            self._masked += 1
            if self.expired:
                _take_back(self._thread)
        try:
            yield
        finally:
            with self._lock:
                self._masked -= 1
        if self.expired and not self._masked:
            raise Expired

    def _watch(self, seconds: float) -> None:
        while not self._over.wait(seconds):
            with self._lock:
                if self._over.is_set():
                    return
                self.expired = True
                if not self._masked:
                    _raise_in(self._thread)
            seconds = _AGAIN_SECONDS


def _raise_in(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Expired))


def _take_back(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
