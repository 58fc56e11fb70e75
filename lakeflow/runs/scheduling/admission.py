"""How many attempts fit into the workers' memory at one time.

What an attempt takes is planned as a multiple of its work's bytes in the store. The multiple is
learned: what the process of each finished attempt grew by, at most, above what a process takes that
has nothing to do yet.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Admission"]

# Encoded bytes become about three times as many in Arrow memory (TPC-H lineitem with ZSTD: 2.7), and a function makes
# something of them. Until attempts have told.
_FIRST_FACTOR = 4.0
_SAMPLES = 64
_LEAST_SAMPLES = 3
_QUANTILE = 0.9
# A shard of kilobytes tells of libraries that were loaded, not of itself.
_LEAST_BYTES = 1024 * 1024


class Admission:
    """Plans the memory of what runs."""

    def __init__(self) -> None:
        self._factors: deque[float] = deque(maxlen=_SAMPLES)
        self._idle_bytes: int | None = None
        self._factor = _FIRST_FACTOR

    def planned_bytes(self, size: int) -> int:
        """What an attempt at a work of `size` bytes is going to take, about."""
        return int(size * self._factor)

    def admits(self, size: int, running: int, memory: int | None) -> bool:
        """Whether one more attempt fits.

        Args:
            size: Bytes of its work.
            running: Bytes of the works that run; with none, anything fits: somewhere it has to run.
            memory: Of all workers; None where nobody knows.
        """
        return memory is None or running == 0 or self.planned_bytes(size + running) <= memory

    def learn(self, facts: Mapping[str, Any]) -> None:
        """From a marker.

        Attempts that share a process are counted as if each had taken the same.
        """
        size, peak, idle = (facts.get(name, 0) for name in ("bytes_in", "peak_rss_bytes", "rss_start_bytes"))
        if idle:
            self._idle_bytes = idle if self._idle_bytes is None else min(idle, self._idle_bytes)
        if size < _LEAST_BYTES or not peak or self._idle_bytes is None:
            return
        grown = max(0, peak - self._idle_bytes) / max(1, facts.get("sharing", 1))
        self._factors.append(grown / size)
        if len(self._factors) >= _LEAST_SAMPLES:
            ordered = sorted(self._factors)
            self._factor = ordered[min(len(ordered) - 1, int(len(ordered) * _QUANTILE))]
