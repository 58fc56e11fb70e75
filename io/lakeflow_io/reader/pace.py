"""How many requests at once, and how long to wait for one: learnt from those that were answered.

The number begins at 8 and grows by one with each answer (it doubles every round trip) as long as
that moves more bytes a second, up to 128; an answer that asks to slow down halves it: additive
increase, multiplicative decrease (Chiu and Jain 1989), as TCP does.

Hedging is after Dean and Barroso, "The Tail at Scale" (2013): a second request once the first has
taken longer than nearly all others, for at most 2 % of the requests.
"""

from __future__ import annotations

import time
from collections import deque

__all__ = ["MOST_REQUESTS", "Pace"]

_FIRST, _LEAST, MOST_REQUESTS = 8, 1, 128
# A window moved more if it moved this much more: below it is noise.
_GAIN = 1.05
# Windows without gain after which growing stops.
_PATIENCE = 3
# Answers that a median is taken over, and after how many it is taken anew.
_REMEMBERED, _REFRESH = 64, 8
_HEDGE_SHARE = 0.02
# Multiples of the usual time: a hedge is cheap, giving up costs what was fetched already.
_HEDGE_FACTOR, _STALL_FACTOR = 3.0, 6.0
_LEAST_HEDGE_SECONDS, _LEAST_STALL_SECONDS = 0.05, 0.5
# Before anything is known: 1 s to the first byte and 2 MB/s, what a bad mobile connection has.
_UNKNOWN_FIRST_BYTE_SECONDS, _UNKNOWN_SECONDS_PER_BYTE = 1.0, 1 / 2e6
# After a halving, answers to requests that were in flight already don't halve again.
_CALM_SECONDS = 0.2


class Pace:
    """The state of one scan's connection to its store; used by one thread."""

    def __init__(self) -> None:
        self.limit = _FIRST
        self.sent = 0
        self.hedges = 0
        self._growing = _PATIENCE
        self._best = 0.0
        self._window_bytes = 0
        self._window_answers = 0
        self._window_began = time.perf_counter()
        self._halved = 0.0
        self._first_bytes: deque[float] = deque(maxlen=_REMEMBERED)
        self._per_byte: deque[float] = deque(maxlen=_REMEMBERED)
        self._answers = 0
        self._usual = (_UNKNOWN_FIRST_BYTE_SECONDS, _UNKNOWN_SECONDS_PER_BYTE)

    def answered(self, size: int, first_byte: float, total: float) -> None:
        """A request for `size` bytes took `first_byte` seconds to begin, and `total` to end."""
        self._first_bytes.append(first_byte)
        self._per_byte.append(max(0.0, total - first_byte) / size)
        self._answers += 1
        if self._answers % _REFRESH == 0 or self._answers < _REFRESH:
            self._usual = (_median(self._first_bytes), _median(self._per_byte))
        if self._growing and self.limit < MOST_REQUESTS:
            self.limit += 1
        self._window_bytes += size
        self._window_answers += 1
        if self._window_answers >= self.limit:
            self._judge(time.perf_counter())

    def _judge(self, now: float) -> None:
        rate = self._window_bytes / max(1e-6, now - self._window_began)
        self._growing = _PATIENCE if rate > self._best * _GAIN else max(0, self._growing - 1)
        self._best = max(self._best, rate)
        self._window_bytes = self._window_answers = 0
        self._window_began = now

    def throttled(self) -> None:
        """The store asked to slow down."""
        now = time.perf_counter()
        if now - self._halved > _CALM_SECONDS:
            self._halved = now
            self.limit = max(_LEAST, self.limit // 2)
            # Find the new ceiling from below.
            self._best, self._growing = 0.0, _PATIENCE

    def hedge_after(self, size: int, *, begun: bool) -> float:
        """Seconds after which a request that is still open is worth a second one."""
        first_byte, per_byte = self._usual
        usual = first_byte + (size * per_byte if begun else 0.0)
        return max(_LEAST_HEDGE_SECONDS, usual * _HEDGE_FACTOR)

    def stalled_after(self, size: int) -> float:
        """Seconds after which it is given up and sent anew."""
        first_byte, per_byte = self._usual
        return max(_LEAST_STALL_SECONDS, (first_byte + size * per_byte) * _STALL_FACTOR)

    def may_hedge(self) -> bool:
        """Whether the budget of hedges allows one more; nothing is hedged before there is anything to compare with."""
        return self._answers >= _REFRESH and self.hedges < max(1.0, self.sent * _HEDGE_SHARE)


def _median(values: deque[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
