"""A metadata file, whole, without waiting for a request that stalls: another one is sent, and the first answer counts.

All of a plan waits for its manifest list, and then for its slowest manifest. The reader has many requests of a scan to
compare one with (`reader/pace.py`); here it is compared with those before it, of any plan. See Dean and Barroso, "The
Tail at Scale" (2013).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakeflow_io.storage.transport import Transport

__all__ = ["get_hedged"]

_NEAR = ("file", "memory")
# Of one file, at most: what isn't answered then is waited for as long as the transport waits.
_REQUESTS = 3
# Of all requests to a store, but for the first few: where a link is slow, and not a request, more would make it slower.
_HEDGE_SHARE, _FREE_HEDGES = 0.02, 2.0
# Before anything is known; and how fast an answer's share of what is expected grows.
_UNKNOWN_SECONDS, _SHARE = 0.5, 0.2
# A stalled one is let go at so many times what is usual. Large manifests take longer: at 10 MB/s, a slow link.
_FACTOR, _LEAST_SECONDS, _SECONDS_PER_BYTE = 4.0, 0.25, 1e-7


@dataclass(slots=True)
class _Store:
    """What requests to a store were like; several threads add to it, and only hedges have to be exact."""

    usual: float | None = None
    """Seconds of an answer."""
    files: int = 0
    hedges: int = 0

    def patience(self, length: int) -> float:
        usual = _UNKNOWN_SECONDS if self.usual is None else self.usual
        return max(_LEAST_SECONDS, _FACTOR * usual) + length * _SECONDS_PER_BYTE

    def may_hedge(self) -> bool:
        """Whether one more is within the share; then it is counted. Many may have lost patience in one moment."""
        with _lock:
            allowed = self.hedges < max(_FREE_HEDGES, self.files * _HEDGE_SHARE)
            self.hedges += allowed
        return allowed

    def learn(self, seconds: float) -> None:
        self.usual = seconds if self.usual is None else (1 - _SHARE) * self.usual + _SHARE * seconds


_lock = Lock()
_stores: dict[str, _Store] = {}


def get_hedged(transport: Transport, uri: str, length: int = 0) -> memoryview:
    """`transport.get`, with another request where one takes four times as long as others of its store did.

    A request that lost is not waited for: it ends by itself, in a thread of its own.

    Args:
        transport: The store.
        uri: The file.
        length: Its bytes, as far as they are known; else 0.

    Raises:
        StoreError: as `transport.get`, of the request that failed last.
    """
    # By its name alone: a transport may read from elsewhere what was written to a store that isn't there any more.
    scheme, far, path = uri.partition("://")
    if not far or scheme in _NEAR:
        return transport.get(uri)
    store = _stores.setdefault(f"{scheme}://{path.partition('/')[0]}", _Store())
    store.files += 1
    answers: SimpleQueue[tuple[memoryview | BaseException, float]] = SimpleQueue()
    _send(transport, uri, answers)
    sent, failed, patient = 1, 0, False
    while True:
        try:
            answer, seconds = answers.get(timeout=None if patient else store.patience(length))
        except Empty:
            patient = sent == _REQUESTS or not store.may_hedge()
            if not patient:
                sent += 1
                _send(transport, uri, answers)
            continue
        if not isinstance(answer, BaseException):
            store.learn(seconds)
            return answer
        failed, patient = failed + 1, True
        if failed == sent:
            raise answer


def _send(transport: Transport, uri: str, answers: SimpleQueue[tuple[memoryview | BaseException, float]]) -> None:
    Thread(target=_ask, args=(transport, uri, answers), name="lakeflow-metadata", daemon=True).start()


def _ask(transport: Transport, uri: str, answers: SimpleQueue[tuple[memoryview | BaseException, float]]) -> None:
    began = time.perf_counter()
    try:
        answer: memoryview | BaseException = transport.get(uri)
    except BaseException as error:  # noqa: BLE001  (the waiting thread raises it)
        answer = error
    answers.put((answer, time.perf_counter() - began))
