"""What a task prints: its last lines are kept for the record of its failure.

Tasks of several threads print at once, so `sys.stdout` and `sys.stderr` are replaced, while any
task runs, by streams that ask which thread writes. What a task prints is still shown, up to a
limit: a million lines of one task would drown those of all others. What C libraries write to the
file descriptors themselves, and what threads print that a task starts, isn't caught.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = ["KEPT_CHARACTERS", "Printed", "printed"]

KEPT_CHARACTERS = 64 * 1024
"""Of the end of what a task prints."""
_SHOWN_CHARACTERS = 64 * 1024


class Printed:
    """What one task has printed so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: deque[str] = deque()
        self._held = 0
        self._shown = 0

    @property
    def text(self) -> str:
        """The last of it."""
        return "".join(self._parts)[-KEPT_CHARACTERS:]

    def add(self, text: str) -> str:
        """Take text over; returns what of it is still to be shown."""
        self._parts.append(text[-KEPT_CHARACTERS:])
        self._held += len(self._parts[-1])
        while self._held - len(self._parts[0]) >= KEPT_CHARACTERS:
            self._held -= len(self._parts.popleft())
        if self._shown > _SHOWN_CHARACTERS:
            return ""
        self._shown += len(text)
        if self._shown > _SHOWN_CHARACTERS:
            return f"{text}\n[{self._name} prints more than is shown here]\n"
        return text


_lock = Lock()
_tasks: dict[int, Printed] = {}
"""By thread."""
_replaced: list[_Stream] = []


@contextmanager
def printed(name: str) -> Generator[Printed]:
    """Catch what this thread prints and logs.

    Args:
        name: Of the task, for the line that says that there is more.

    Yields:
        What it has printed so far.
    """
    task = Printed(name)
    thread = get_ident()
    with _lock:
        before = _tasks.get(thread)
        if not _tasks:
            _replace()
        _tasks[thread] = task
    try:
        yield task
    finally:
        with _lock:
            if before is None:
                del _tasks[thread]
            else:
                _tasks[thread] = before
            if not _tasks:
                _restore()


class _Stream:
    """Stands for a stream: tells tasks apart, and is the stream itself in all else."""

    def __init__(self, name: str) -> None:
        self.place = name
        self.original: Any = getattr(sys, name)

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click, for one, tries with bytes whether a stream is binary
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        task = _tasks.get(get_ident())
        shown = text if task is None else task.add(text)
        if shown and self.original is not None:  # a process without a terminal may have none
            self.original.write(shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.original is not None:
            self.original.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Logged(logging.Handler):
    """What a task logs, where logging is set up: its handlers know the streams from before."""

    def emit(self, record: logging.LogRecord) -> None:
        task = _tasks.get(get_ident())
        if task is not None:
            task.add(self.format(record) + "\n")


_logged = _Logged()
_logged.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))


def _replace() -> None:
    for name in ("stdout", "stderr"):
        _replaced.append(_Stream(name))
        setattr(sys, name, _replaced[-1])
    root = logging.getLogger()
    if root.handlers:  # without any, warnings go to sys.stderr, and another handler would keep them from there
        root.addHandler(_logged)


def _restore() -> None:
    for stream in _replaced:
        if getattr(sys, stream.place) is stream:  # else somebody has put another one in its place
            setattr(sys, stream.place, stream.original)
    _replaced.clear()
    logging.getLogger().removeHandler(_logged)
