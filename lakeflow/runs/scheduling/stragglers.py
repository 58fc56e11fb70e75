"""Which attempts take far longer than the others did: they get a second attempt beside them.

Dean and Ghemawat, "MapReduce", 2004, section 3.6, with time measured against bytes: a large shard
is no straggler for being large.
"""

from __future__ import annotations

from collections import deque
from statistics import median

__all__ = ["Stragglers"]

_FACTOR = 3.0
_LEAST_SECONDS = 5.0
"""Before that, another attempt costs more than it saves."""
_SAMPLES = 512
"""The newest attempts: what a store or a cluster gives now."""
_LEAST_SAMPLES = 3


class Stragglers:
    """Knows how long attempts take."""

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=_SAMPLES)
        self._seconds: deque[float] = deque(maxlen=_SAMPLES)
        self._rate: float | None = None

    def add(self, size: int, seconds: float) -> None:
        """Learn from an attempt that ended well.

        Args:
            size: Bytes of its work.
            seconds: That it took.
        """
        self._rates.append(seconds / max(1, size))
        self._seconds.append(seconds)
        self._rate = None

    def limit_seconds(self, size: int) -> float | None:
        """After how long an attempt at a work of `size` bytes is a straggler; None while nobody knows."""
        if len(self._rates) < _LEAST_SAMPLES:
            return None
        if self._rate is None:
            self._rate = median(self._rates)
        return max(_LEAST_SECONDS, _FACTOR * self._rate * max(1, size))

    @property
    def usual_seconds(self) -> float | None:
        """The median of the newest attempts, of any size."""
        return median(self._seconds) if len(self._seconds) >= _LEAST_SAMPLES else None
