"""What a run does about attempts that fail or take too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lakeflow_io.errors import InputError

__all__ = ["Policy"]

# A worker that is restarted takes its warm caches along: the function gets as long again to end by itself, and a
# store that is slow some seconds more.
_HARD_FACTOR, _HARD_SECONDS = 2.0, 30.0
_MOST_SECONDS = 1e7  # about four months: what a thread can be asked to wait for


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about failures and about time; the same for all works of a run.

    Raises:
        InputError: a value that makes no sense; names it.
    """

    retries: int = 3
    """More attempts after a store's failure that may pass."""
    on_error: Literal["raise", "quarantine"] = "raise"
    """Whether a work that is set aside ends the run, or is left out of what it publishes."""
    max_failures: float | None = None
    """Works that may be set aside: how many (int), or which part of all (float); None for any number less than all."""
    deadline: float | None = None
    """Seconds, soft: the task is asked to end, by an exception inside of it."""
    hard_deadline: float | None = None
    """Seconds, hard: its worker is restarted. Default twice the soft one and 30 s; None without one."""
    speculate: bool = True
    """Whether a straggler gets a second attempt beside its first."""

    def __post_init__(self) -> None:
        _whole("retries", self.retries)
        if self.on_error not in ("raise", "quarantine"):
            raise InputError(f"on_error={self.on_error!r} is unknown.", 'use "raise" or "quarantine".')
        if isinstance(self.max_failures, float):
            if not 0.0 <= self.max_failures <= 1.0:
                raise InputError(
                    f"max_failures={self.max_failures!r} is no part of all.", "give 0.0 to 1.0, or a count."
                )
        elif self.max_failures is not None:
            _whole("max_failures", self.max_failures)
        for name in ("deadline", "hard_deadline"):
            _seconds(name, getattr(self, name))
        if self.deadline and self.hard_deadline and self.hard_deadline < self.deadline:
            raise InputError(
                f"hard_deadline={self.hard_deadline!r} comes before deadline={self.deadline!r}.",
                "the soft deadline comes first: it lets the task say where it was.",
            )

    @property
    def hard_seconds(self) -> float | None:
        """After which a worker is restarted; None for never."""
        if self.hard_deadline is not None or self.deadline is None:
            return self.hard_deadline
        return _HARD_FACTOR * self.deadline + _HARD_SECONDS

    def most_set_aside(self, total: int) -> int:
        """How many of `total` works may be set aside before the run ends."""
        if self.on_error == "raise":
            return 0
        if self.max_failures is None:
            return total - 1
        if isinstance(self.max_failures, float):
            return int(self.max_failures * total)
        return int(self.max_failures)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{name}={value!r} is no number of failures.", "give a whole number, 0 or more.")


def _seconds(name: str, value: object) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _MOST_SECONDS
    ):
        raise InputError(f"{name}={value!r} is no time.", "give seconds, more than 0, or None.")
