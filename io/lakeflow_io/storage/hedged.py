"""A metadata file, whole, without waiting for a request that stalls: another one is sent, and the first answer counts.

All of a plan waits for its manifest list, and then for its slowest manifest. The reader has many requests of a scan to
compare one with (`reader/pace.py`); here it is compared with those before it, of any plan. See Dean and Barroso, "The
Tail at Scale" (2013).
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from lakeflow_io.storage.location import Location

if TYPE_CHECKING:
    from lakeflow_io.storage.transport import Transport

__all__ = ["get_hedged"]

_NEAR = ("file", "memory")
# Of one file, at most: what isn't answered then is waited for as long as the transport waits.
_REQUESTS = 3
# Before anything is known; and how fast an answer's share of what is expected grows.
_UNKNOWN_SECONDS, _SHARE = 0.5, 0.2
# A stalled one is let go at so many times what is usual. Large manifests take longer: at 10 MB/s, a slow link.
_FACTOR, _LEAST_SECONDS, _SECONDS_PER_BYTE = 4.0, 0.25, 1e-7
_usual: dict[tuple[str, str, str], float] = {}


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
    place = Location.parse(uri)
    if place.scheme in _NEAR:
        return transport.get(uri)
    store = (place.scheme, place.bucket, place.host)
    answers: SimpleQueue[tuple[memoryview | BaseException, float]] = SimpleQueue()
    patience = max(_LEAST_SECONDS, _FACTOR * _usual.get(store, _UNKNOWN_SECONDS)) + length * _SECONDS_PER_BYTE
    failure: BaseException | None = None
    sent = ended = 0
    while True:
        if sent < _REQUESTS and failure is None:
            Thread(target=_ask, args=(transport, uri, answers), name="lakeflow-metadata", daemon=True).start()
            sent += 1
        try:
            answer, seconds = answers.get(timeout=patience if sent < _REQUESTS and failure is None else None)
        except Empty:
            continue
        ended += 1
        if not isinstance(answer, BaseException):
            _usual[store] = (1 - _SHARE) * _usual.get(store, seconds) + _SHARE * seconds
            return answer
        failure = answer
        if ended == sent:
            raise failure


def _ask(transport: Transport, uri: str, answers: SimpleQueue[tuple[memoryview | BaseException, float]]) -> None:
    began = time.perf_counter()
    try:
        answer: memoryview | BaseException = transport.get(uri)
    except BaseException as error:  # noqa: BLE001  (the waiting thread raises it)
        answer = error
    answers.put((answer, time.perf_counter() - began))
