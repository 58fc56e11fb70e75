"""What an attempt took: seconds by phase, memory of its process."""

from __future__ import annotations

import os
import resource
import time
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Memory", "Stopwatch"]

_PROC = "/proc/self/"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MOST_BYTES = 8192
# "5" sets the peak back to what is used now: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
_RESET_PEAK = b"5"


class Stopwatch:
    """Seconds by phase; a phase within another one counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"read": 0.0, "function": 0.0, "write": 0.0}
        self._phase: str | None = None
        self._since = 0.0

    @contextmanager
    def timed(self, phase: str) -> Generator[None]:
        """Count the block for `phase`."""
        before = self._switch(phase)
        try:
            yield
        finally:
            self._switch(before)

    def _switch(self, phase: str | None) -> str | None:
        now = time.perf_counter()
        if self._phase is not None:
            self.seconds[self._phase] += now - self._since
        before, self._phase, self._since = self._phase, phase, now
        return before

    def rounded(self) -> dict[str, float]:
        """To a tenth of a millisecond, as markers have them."""
        return {phase: round(seconds, 4) for phase, seconds in self.seconds.items()}


class Memory:
    """The resident memory of this process, from the beginning of an attempt to its end.

    Attempts that run in one process at the same time can't be told apart: `sharing` says how many
    there were at most.
    """

    _lock = Lock()
    _attempts: set[Memory] = set()  # noqa: RUF012  (of the process)

    def __init__(self) -> None:
        self.sharing = 0
        self.start_bytes = _resident_bytes()

    def __enter__(self) -> Self:
        with self._lock:
            if not self._attempts:
                with suppress(OSError):  # a container may forbid it; then the peak is that of the process's life
                    _reset_peak()
            self._attempts.add(self)
            for each in self._attempts:
                each.sharing = max(each.sharing, len(self._attempts))
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._attempts.discard(self)

    @property
    def peak_bytes(self) -> int:
        """The most so far."""
        # The kernel counts pages by processor, not always to the last one: its peak may be below what it said before.
        return max(self.start_bytes, _peak_bytes())


def _peak_bytes() -> int:
    with suppress(OSError, ValueError):
        _, found, rest = _read("status").partition(b"VmHWM:")
        if found:
            return int(rest.split(None, 1)[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident_bytes() -> int:
    with suppress(OSError, ValueError):
        return int(_read("statm").split()[1]) * _PAGE_BYTES
    return 0


def _read(name: str) -> bytes:
    # Not by pathlib, which takes a third of what a short task does.
    file = os.open(_PROC + name, os.O_RDONLY)
    try:
        return os.read(file, _MOST_BYTES)
    finally:
        os.close(file)


def _reset_peak() -> None:
    file = os.open(_PROC + "clear_refs", os.O_WRONLY)
    try:
        os.write(file, _RESET_PEAK)
    finally:
        os.close(file)
