"""A run's progress: one line that is redrawn where a person watches, lines in the log elsewhere.

Both read the same count a few times a second at most, from a thread of their own: what they cost
doesn't depend on the number of shards.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from lakeflow.quantities import bytes_text, count_text, number_of, seconds_text
from lakeflow.runs.progress.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.console import Console
    from rich.text import Text

    from lakeflow.runs.progress.tally import Tally

__all__ = ["LogLines", "progress_shown", "told"]

_log = logging.getLogger("lakeflow.progress")

_REDRAWS_PER_SECOND = 4
_LOOK_SECONDS = 1.0
_LOG_SECONDS = 30.0
_LOG_SHARE = 0.1
_BAR_CELLS = 24
_SETTLED_SECONDS = 2.0  # a rate over less than this says nothing


@contextmanager
def progress_shown(title: str, tally: Tally, *, show: bool = True) -> Generator[None]:
    """Show how far a run is.

    Args:
        title: What runs.
        tally: Its count.
        show: False shows nothing anywhere.
    """
    if not show:
        yield
        return
    from rich.console import Console

    console = Console(stderr=True)
    with _line(title, tally, console) if console.is_terminal else _logged(title, tally):
        yield


def told(tally: Tally, elapsed: float) -> list[str]:
    """What there is to say, the most important first.

    Args:
        tally: The count.
        elapsed: Seconds that this driver has run.
    """
    settled = elapsed >= _SETTLED_SECONDS
    left = tally.seconds_left(elapsed) if settled else None
    rows, size = tally.rows_in, tally.bytes_done - tally.bytes_before
    return [
        f"{tally.works_done:,}/{tally.works:,} shards",
        *([f"{_calm(left)} left"] if left is not None else []),
        f"{tally.running:,} running",
        *([f"{tally.works_failed:,} failed"] if tally.works_failed else []),
        *([f"{tally.retries:,} retried"] if tally.retries else []),
        *([f"{count_text(round(rows / elapsed))} rows/s"] if settled and rows else []),
        *([f"{bytes_text(size / elapsed)}/s"] if settled and size else []),
    ]


def _calm(seconds: float) -> str:
    """Without tenths, which would flicker."""
    return f"{seconds:.0f} s" if seconds < 59.5 else seconds_text(seconds)  # noqa: PLR2004  (then it is a minute)


@contextmanager
def _line(title: str, tally: Tally, console: Console) -> Generator[None]:
    from rich.live import Live

    began = time.monotonic()
    before = sys.stderr
    line = Live(
        get_renderable=lambda: _drawn(title, tally, time.monotonic() - began, console.width),
        console=console,
        refresh_per_second=_REDRAWS_PER_SECOND,
        transient=True,
        # What is printed to a pipe stays there; rich would send it to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    )
    with line, _logged_above(before):
        yield


@contextmanager
def _logged_above(before: TextIO) -> Generator[None]:
    """Let warnings stand above the line: logging's handlers write to the stream that was there when they were made."""
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler)]
    moved = [each for each in handlers if each.stream is before]
    for each in moved:
        each.setStream(sys.stderr)
    try:
        yield
    finally:
        for each in moved:
            each.setStream(before)


def _drawn(title: str, tally: Tally, elapsed: float, width: int) -> Text:
    """As much as fits: the title, a bar, the figures, the time."""
    from rich.text import Text

    clock = _calm(elapsed)
    full = round(_BAR_CELLS * tally.share)
    said = told(tally, elapsed)
    bare = len(title) + len(clock) + 4
    # The figures come first: a bar says less than the number of shards that failed.
    while len(said) > 1 and bare + sum(len(each) + 2 for each in said) > width:
        said.pop()
    room = width - bare - sum(len(each) + 2 for each in said)
    line = Text.assemble((title, "bold"), "  ", no_wrap=True, overflow="ellipsis")
    if room >= _BAR_CELLS + 2:
        line.append("━" * full, "bar.complete").append("━" * (_BAR_CELLS - full) + "  ", "bar.back")
    line.append("  ".join(said) + "  ").append(clock, "dim")
    line.truncate(width)
    return line


@contextmanager
def _logged(title: str, tally: Tally) -> Generator[None]:
    lines = LogLines(title, tally, time.monotonic())
    _log.info(lines.first())

    def look() -> None:
        line = lines.due(time.monotonic())
        if line:
            _log.info(line)

    try:
        with Ticker(_LOOK_SECONDS, look, "lakeflow-progress"):
            yield
    finally:
        _log.info(lines.last(time.monotonic()))


class LogLines:
    """Which lines a log gets: the first, one each 10 % or 30 s, whichever is later, and the last.

    Args:
        title: What runs.
        tally: Its count.
        began: The moment of the first line, in seconds of any clock.
    """

    def __init__(self, title: str, tally: Tally, began: float) -> None:
        self._title = title
        self._tally = tally
        self._began = began
        self._last = began
        self._share = tally.share

    def first(self) -> str:
        """What is ahead."""
        tally = self._tally
        size = f", {bytes_text(tally.bytes_total)}" if tally.bytes_total else ""
        before = f", {tally.works_done:,} done before" if tally.works_done else ""
        return f"{self._title}: {number_of(tally.works, 'shard')}{size}{before}"

    def due(self, now: float) -> str | None:
        """The next line, where it is time for one."""
        share = self._tally.share
        if now - self._last < _LOG_SECONDS or share - self._share < _LOG_SHARE:
            return None
        self._last, self._share = now, share
        return f"{self._title}: {100 * share:.0f} %, " + ", ".join(told(self._tally, now - self._began))

    def last(self, now: float) -> str:
        """What it came to."""
        tally = self._tally
        failed = f", {tally.works_failed:,} failed" if tally.works_failed else ""
        retried = f", {tally.retries:,} retried" if tally.retries else ""
        took = seconds_text(now - self._began)
        works = number_of(tally.works, "shard")
        return f"{self._title}: {tally.works_done:,} of {works} done{failed}{retried}, in {took}"
