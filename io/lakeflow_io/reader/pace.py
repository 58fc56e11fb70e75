"""How many requests and bytes at once, and how long to wait for one: learnt from those that were answered.

The number begins at 8 and grows by one with each answer (it doubles every round trip) as long as
that moves more bytes a second, up to 128; an answer that asks to slow down halves it: additive
increase, multiplicative decrease (Chiu and Jain 1989), as TCP does.

Bytes in flight have a window, too: a full link is shared by all requests, and the oldest, which the
decoders wait for, get the smaller a share of it the more there are (128 in place of 38 requests:
3.4 s in place of 2.8 s). It grows where it is what holds requests back, and growing moves more.

Hedging is after Dean and Barroso, "The Tail at Scale" (2013): a second request once the first has
taken longer than nearly all others, for at most 2 % of the requests.

What a request usually takes depends on its company and on its size. Where the link is the limit,
twice as many requests take twice as long each: what was learnt among few is stretched for many, or
every growth would look like a stall, and all of it be sent again (measured at 10 MB/s: 60 of 80
requests, and 2.3 times the time). And what small answers took, which fit into buffers on the way,
says nothing of large ones.
"""

from __future__ import annotations

import time
from collections import deque

__all__ = ["MOST_REQUESTS", "Pace"]

_FIRST, _LEAST, MOST_REQUESTS = 8, 1, 128
# Bytes in flight: what a link of 500 MB/s takes in requests of 8 MiB, at 80 MB/s each and 30 ms to the first byte;
# and what may be needed by the fastest machines.
_FIRST_WINDOW_BYTES, _MOST_WINDOW_BYTES = 64 * 2**20, 2**30
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
# The size of an answer tells of requests up to so many times as large.
_LIKE_FACTOR = 4
# Before anything is known: 1 s to the first byte and 2 MB/s, what a bad mobile connection has.
_UNKNOWN_FIRST_BYTE_SECONDS, _UNKNOWN_SECONDS_PER_BYTE = 1.0, 1 / 2e6
# After a halving, answers to requests that were in flight already don't halve again.
_CALM_SECONDS = 0.2


class Pace:
    """The state of one scan's connection to its store; used by one thread.

    Attributes:
        limit: Requests at one time.
        window: Bytes in flight, from which on no further request is sent.
    """

    def __init__(self) -> None:
        self.limit = _FIRST
        self.window = _FIRST_WINDOW_BYTES
        self._held_back = False
        self._growing = _PATIENCE
        self._best = 0.0
        self._window_bytes = 0
        self._window_answers = 0
        self._window_began = time.perf_counter()
        self._halved = 0.0
        self._first_bytes: deque[float] = deque(maxlen=_REMEMBERED)
        self._bodies: deque[tuple[int, float, int]] = deque(maxlen=_REMEMBERED)
        self._answers = 0
        self._largest = 0
        self._first_byte, self._per_byte, self._company = _UNKNOWN_FIRST_BYTE_SECONDS, _UNKNOWN_SECONDS_PER_BYTE, 1.0

    def answered(self, size: int, first_byte: float, total: float, active: int) -> None:
        """A request for `size` bytes took `first_byte` seconds to begin, and `total` to end, one of `active`."""
        self._first_bytes.append(first_byte)
        self._bodies.append((size, max(0.0, total - first_byte), active))
        self._answers += 1
        if self._answers % _REFRESH == 0 or self._answers < _REFRESH or size > self._largest * _LIKE_FACTOR:
            self._learn()
        self._largest = max(self._largest, size)
        if self._growing and self.limit < MOST_REQUESTS:
            self.limit += 1
        self._window_bytes += size
        self._window_answers += 1
        if self._window_answers >= self.limit:
            self._judge(time.perf_counter())

    def _learn(self) -> None:
        ordered = sorted(self._first_bytes)
        self._first_byte = ordered[len(ordered) // 2]
        # By bytes: a few large answers say more than many small ones.
        size = sum(size for size, _, _ in self._bodies)
        self._per_byte = sum(seconds for _, seconds, _ in self._bodies) / size
        self._company = sum(size * active for size, _, active in self._bodies) / size

    def _judge(self, now: float) -> None:
        rate = self._window_bytes / max(1e-6, now - self._window_began)
        if self._held_back and rate > self._best * _GAIN:
            self.window = min(_MOST_WINDOW_BYTES, self.window * 3 // 2)
        self._held_back = False
        self._growing = _PATIENCE if rate > self._best * _GAIN else max(0, self._growing - 1)
        self._best = max(self._best, rate)
        self._window_bytes = self._window_answers = 0
        self._window_began = now

    def held_back(self) -> None:
        """A request waits for others although there may be more of them: too many bytes are in flight."""
        self._held_back = True

    def throttled(self) -> None:
        """The store asked to slow down."""
        now = time.perf_counter()
        if now - self._halved > _CALM_SECONDS:
            self._halved = now
            self.limit = max(_LEAST, self.limit // 2)
            # Find the new ceiling from below.
            self._best, self._growing = 0.0, _PATIENCE

    def hedge_after(self, size: int, active: int, *, begun: bool) -> float:
        """Seconds after which a request that is still open, one of `active`, is worth a second one."""
        usual = self._first_byte + (self._body(size, active) if begun else 0.0)
        return max(_LEAST_HEDGE_SECONDS, usual * _HEDGE_FACTOR)

    def stalled_after(self, size: int, active: int) -> float:
        """Seconds after which it is given up and sent anew."""
        return max(_LEAST_STALL_SECONDS, (self._first_byte + self._body(size, active)) * _STALL_FACTOR)

    def _body(self, size: int, active: int) -> float:
        like = min(size, self._largest * _LIKE_FACTOR)
        return like * self._per_byte * max(1.0, active / self._company) + (size - like) * _UNKNOWN_SECONDS_PER_BYTE

    def may_hedge(self, sent: int, hedges: int) -> bool:
        """Whether one more hedge is within the budget, after `hedges` among `sent` requests.

        Nothing is hedged before there is anything to compare with.
        """
        return self._answers >= _REFRESH and hedges < max(1.0, sent * _HEDGE_SHARE)
