"""What becomes of attempts on a virtual executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_engines.executors import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.runs.attempts.attempt import Attempt


def well(seconds: float = 1.0) -> Fate:
    """An attempt that ends well after so many seconds."""
    return Fate(seconds, {"seconds": {"function": seconds}})


def by_bytes(attempt: Attempt) -> Fate:
    """One second a byte."""
    return well(attempt.work.bytes)


def fails(error: Exception, *attempts: int, only: int = 0) -> Callable[[Attempt], Fate]:
    """Of one work, the attempts with these numbers."""

    def fate(attempt: Attempt) -> Fate:
        if attempt.work.index == only and attempt.number in attempts:
            return Fate(1.0, error=error)
        return well()

    return fate


def always(error: Exception, only: int = 0) -> Callable[[Attempt], Fate]:
    """Of one work, every attempt."""
    return fails(error, *range(100), only=only)
