"""How many requests are in flight: one more after a round that went well, half as many after one that was too much.

Additive increase, multiplicative decrease: Chiu and Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance in computer networks", 1989. A table's capacity isn't known beforehand, differs between its
partitions, grows while it is used, and is shared with others.
"""

from __future__ import annotations

import threading

__all__ = ["Pace"]

_FIRST = 4


class Pace:
    """Lets requests through; safe for threads.

    Args:
        most: How many at once, at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(_FIRST, most))
        self._flying = 0
        self._round = 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return int(self._limit)

    def begin(self) -> int:
        """Wait for a place; return the round that the request belongs to."""
        with self._changed:
            self._changed.wait_for(lambda: self._flying < self.limit)
            self._flying += 1
            return self._round

    def end(self, began: int, *, throttled: bool) -> None:
        """Give the place back.

        Args:
            began: What `begin` returned.
            throttled: Whether the table refused the request or a part of it. Of all requests that were in flight
                together, one that was refused halves the limit, however many were.
        """
        with self._changed:
            self._flying -= 1
            if not throttled:
                self._limit = min(self._limit + 1 / self._limit, self._most)
            elif began == self._round:
                self._limit = max(self._limit / 2, 1.0)
                self._round += 1
            self._changed.notify_all()
