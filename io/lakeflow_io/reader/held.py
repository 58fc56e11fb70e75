"""The byte budget of a scan: what it holds, and which unit may be decoded next.

A footer tells what a row group takes only roughly: a text that stands once in a dictionary and a
million times in the rows is counted once. So bytes are corrected as units are decoded, later units
are expected to grow as those before them did, and while the budget is used up only the oldest
unit is decoded: it alone can bring relief, and nothing ever waits for it.
"""

from __future__ import annotations

from heapq import heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow_io.reader.report import Counters

__all__ = ["Held"]


class Held:
    """Bytes fetched, undecoded and unconsumed; used by all threads of a scan.

    Args:
        budget: Bytes.
        decoders: How many units are decoded at one time: a unit that waited behind others in a queue
            would have been let through before anything was known of those.
        counters: Where the peak is kept.
    """

    def __init__(self, budget: int, decoders: int, counters: Counters) -> None:
        self._budget, self._free, self._counters = budget, decoders, counters
        self._lock = Lock()
        self._total = 0
        self._promised = self._actual = 1
        self._oldest = 0
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []

    def admit(self, cost: int, promised: int, *, anyway: bool) -> int | None:
        """Take a unit in if there is room.

        Args:
            cost: Bytes of it, as its footer promises.
            promised: Of these, what it decodes to.
            anyway: Whether it is the oldest.

        Returns:
            What it counts for now; None where there is no room.
        """
        with self._lock:
            cost += self._growth(promised)
            if not anyway and self._total + cost > self._budget:
                return None
            self._add(cost)
            return cost

    def decode(self, order: int, promised: int, begin: Callable[[], None]) -> None:
        """Call `begin` as soon as unit number `order` may be decoded: now, or later in another thread.

        Each call of `begin` is to be followed by one of `rest`.
        """
        with self._lock:
            heappush(self._waiting, (order, promised, begin))
        self._begin()

    def decoded(self, promised: int, actual: int, change: int) -> None:
        """A unit that was to have `promised` bytes has `actual`; what it counts for has changed."""
        with self._lock:
            self._promised += promised
            self._actual += actual
            self._add(change)

    def rest(self) -> None:
        """What `decode` had begun has ended, and `decoded` was told."""
        with self._lock:
            self._free += 1
        self._begin()

    def consumed(self, cost: int) -> None:
        """The oldest unit is gone."""
        with self._lock:
            self._oldest += 1
            self._add(-cost)
        self._begin()

    def keep(self, change: int) -> None:
        """Bytes that are kept besides the units: deletes, which several of them need."""
        with self._lock:
            self._add(change)
        if change < 0:
            self._begin()

    def close(self) -> None:
        """Let go of units that wait."""
        with self._lock:
            self._waiting.clear()

    def _begin(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or not self._free:
                    return
                order, promised, begin = self._waiting[0]
                if order != self._oldest and self._total + self._growth(promised) > self._budget:
                    return
                heappop(self._waiting)
                self._free -= 1
            begin()

    def _growth(self, promised: int) -> int:
        # Over all units so far: one small odd one is no reason to expect the worst of all others.
        return max(0, promised * self._actual // self._promised - promised)

    def _add(self, change: int) -> None:
        self._total += change
        self._counters.peak_bytes = max(self._counters.peak_bytes, self._total)
