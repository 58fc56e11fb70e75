"""What happens to one request: drawn from the seed, so that a run can be had again.

The draw depends on the request's own text and on how often it was made before, not on the order in
which threads get there: the same requests meet the same luck however a client interleaves them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from struct import unpack
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.s3like.profiles import Profile

__all__ = ["Dice", "Luck"]

_DRAWS = 6
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Luck:
    """One request's."""

    delay_s: float
    """Before the first byte."""
    connection_bytes_s: int
    """Its connection's pace; 0 is no limit."""
    straggler: bool = False
    slow_down: bool = False
    cut_after: float | None = None
    """Close the connection after this share of the body."""
    stall_after: float | None = None
    """Stop after this share of the body for the profile's `stall_s`."""


class Dice:
    """Draws; one for a server, used by all its threads."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._lock = Lock()
        self._made: Counter[str] = Counter()

    def forget(self) -> None:
        """Begin again: the next request of each kind counts as its first."""
        with self._lock:
            self._made.clear()

    def roll(self, request: str) -> Luck:
        """What happens to `request`: its verb, path and range."""
        profile = self._profile
        if profile.first_byte_ms + profile.straggler_share + profile.slow_down_share == 0 and not (
            profile.cut_share or profile.stall_share
        ):
            return Luck(0.0, profile.connection_bytes_s)
        with self._lock:
            number = self._made[request]
            self._made[request] += 1
        delay, straggles, slows, cuts, stalls, where = self._uniform(f"{profile.seed}|{request}|{number}")
        seconds = profile.first_byte_ms / 1000
        if profile.first_byte_sigma:
            seconds *= math.exp(profile.first_byte_sigma * _NORMAL.inv_cdf(delay))
        pace = profile.connection_bytes_s
        straggler = straggles < profile.straggler_share
        if straggler:
            seconds += profile.straggler_extra_s
            pace = int(pace / profile.straggler_slowdown)
        return Luck(
            seconds,
            pace,
            straggler=straggler,
            slow_down=slows < profile.slow_down_share,
            cut_after=where if cuts < profile.cut_share else None,
            stall_after=where if stalls < profile.stall_share else None,
        )

    @staticmethod
    def _uniform(text: str) -> list[float]:
        digest = blake2b(text.encode(), digest_size=8 * _DRAWS).digest()
        # Never 0 or 1, where the normal distribution has no quantile.
        return [((number >> 11) + 0.5) / 2**53 for number in unpack(f"<{_DRAWS}Q", digest)]
