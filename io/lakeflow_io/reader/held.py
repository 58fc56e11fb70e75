"""The byte budget of a scan: what it holds, and which unit may be decoded next.

A unit is let in for the bytes that are fetched for it, and counts for what it decodes to from when it
is decoded: bytes on their way are what keeps the link busy, and decoded ones come and go. Room for the
oldest unit to be decoded is always left.

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

# Units whose bytes are there while others are decoded: small ones take a millisecond each, and a store 30 ms to
# bring the first of those that are let in next.
_MOST_WAITING = 64


class Held:
    """Bytes fetched, undecoded and unconsumed; used by all threads of a scan.

    Args:
        budget: Bytes.
        decoders: How many units are decoded at one time: a unit that waited behind others in a queue
            would have been let through before anything was known of those.
        ahead: Bytes fetched and not decoded from which on no further unit is let in.
        counters: Where the peak is kept.
    """

    def __init__(self, budget: int, decoders: int, ahead: Callable[[], int], counters: Counters) -> None:
        self._budget, self._free, self._most_ahead, self._counters = budget, decoders, ahead, counters
        self._lock = Lock()
        self._total = self._ahead = 0
        self._promised = self._actual = 1
        self._oldest = 0
        # Of units that aren't decoded yet, by their number, in order: what is fetched, and what it decodes to.
        self._undecoded: dict[int, tuple[int, int]] = {}
        self._waiting: list[tuple[int, Callable[[int], None]]] = []

    def admit(self, order: int, fetched: int, promised: int, *, anyway: bool) -> bool:
        """Take unit number `order` in if there is room.

        Args:
            order: One more than the last one's.
            fetched: Bytes that are fetched for it, or were.
            promised: Bytes that it decodes to, as its footer has it.
            anyway: Whether it is the oldest.
        """
        with self._lock:
            _, first = next(iter(self._undecoded.values()), (0, promised))
            if not anyway and (
                self._total + fetched + self._grown(first) > self._budget
                or self._ahead > self._most_ahead()
                or len(self._waiting) > _MOST_WAITING
            ):
                return False
            self._undecoded[order] = fetched, promised
            self._ahead += fetched
            self._add(fetched)
            return True

    def decode(self, order: int, begin: Callable[[int], None]) -> None:
        """Call `begin` as soon as unit number `order` may be decoded: now, or later in another thread.

        It is told how many bytes more the unit counts for from then on: none, where it has been decoded in part
        before. Each call of `begin` is to be followed by one of `rest`.
        """
        with self._lock:
            heappush(self._waiting, (order, begin))
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
            self._undecoded.clear()

    def _begin(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or not self._free:
                    return
                order, begin = self._waiting[0]
                fetched, promised = self._undecoded.get(order, (0, 0))
                room = self._grown(promised)
                first = next(iter(self._undecoded), order)
                spare = self._grown(self._undecoded[first][1]) if first < order else 0
                if order != self._oldest and self._total + room + spare > self._budget:
                    return
                heappop(self._waiting)
                self._undecoded.pop(order, None)
                self._ahead -= fetched
                self._free -= 1
                self._add(room)
            begin(room)

    def _grown(self, promised: int) -> int:
        # Over all units so far: one small odd one is no reason to expect the worst of all others.
        return max(promised, promised * self._actual // self._promised)

    def _add(self, change: int) -> None:
        self._total += change
        self._counters.peak_bytes = max(self._counters.peak_bytes, self._total)
