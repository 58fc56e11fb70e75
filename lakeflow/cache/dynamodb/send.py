"""Sends batches of writes, several at once, each until the table has done all of it."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.cache.dynamodb.failures import delays, explained, passing
from lakeflow.cache.dynamodb.pace import Pace
from lakeflow_io.errors import ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lakeflow.cache.dynamodb.table import Table

__all__ = ["BATCH_BYTES", "BATCH_ITEMS", "Batch", "send"]

BATCH_ITEMS = 25
"""DynamoDB's limit for BatchWriteItem."""

BATCH_BYTES = 1 << 20
"""DynamoDB takes 16 MB. Fewer bound what waits in memory, to 32 of them; one item alone may be 400 KB."""

_MOST_IN_FLIGHT = 16
_MOST_WAITING = 2 * _MOST_IN_FLIGHT
_ATTEMPTS = 15  # without any progress: 20 seconds of waits in the mean, at most 41


@dataclass(frozen=True, slots=True)
class Batch:
    """Writes that are sent together."""

    requests: list[dict[str, Any]]
    """At most 25 puts or deletes, of different items."""
    end: int
    """How many writes there were up to and with this batch."""


def send(table: Table, batches: Iterable[Batch], often: float, between: Callable[[int], None]) -> None:
    """Send batches, in their order but several at once; all are done when this returns.

    What the table leaves undone is sent again after a wait, exponential with full jitter, and fewer requests are in
    flight meanwhile.

    Args:
        table: Where to.
        batches: Made as they are needed; a bounded number waits.
        often: Within how many seconds `between` is called again, where it returns as fast.
        between: Called with how many of the first writes are done. What it raises ends the sending.

    Raises:
        ThrottledError: the table did nothing of a batch for many attempts.
        StoreError: as `Table` says.
    """
    sender = _Sender(table)
    waiting: deque[tuple[int, Future[None]]] = deque()
    done = 0
    with ThreadPoolExecutor(_MOST_IN_FLIGHT, "lakeflow-push") as pool:
        try:
            for batch in batches:
                waiting.append((batch.end, pool.submit(sender.send, batch.requests)))
                while waiting[0][1].done() or len(waiting) >= _MOST_WAITING:
                    done = _settled(waiting, done, often)
                    between(done)
                    if not waiting:
                        break
            while waiting:
                done = _settled(waiting, done, often)
                between(done)
        except BaseException:
            sender.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _settled(waiting: deque[tuple[int, Future[None]]], done: int, seconds: float) -> int:
    """Wait for the oldest batch, for a while; take away those that are done; return how many writes are."""
    wait([waiting[0][1]], seconds, FIRST_COMPLETED)
    while waiting and waiting[0][1].done():
        done, future = waiting.popleft()
        future.result()
    return done


class _Sender:
    """What the threads share."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pace = Pace(_MOST_IN_FLIGHT)
        self.stopped = threading.Event()
        """Set when another batch has failed: nobody waits for this one."""

    def send(self, requests: list[dict[str, Any]]) -> None:
        left, waits = requests, delays(_ATTEMPTS)
        while left and not self.stopped.is_set():
            before = len(left)
            left, failure = self._try(left)
            if len(left) < before:
                waits = delays(_ATTEMPTS)
            if not left:
                return
            delay = next(waits, None)
            if delay is None:
                raise self._given_up(failure)
            self.stopped.wait(delay)

    def _try(self, requests: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Exception | None]:
        """Send once; return what is left, and what went wrong where all of it is."""
        from botocore.exceptions import BotoCoreError, ClientError

        began, throttled = self._pace.begin(), False
        try:
            left = self._table.write(requests)
            throttled = bool(left)
        except (BotoCoreError, ClientError) as error:
            reason = passing(error)
            if reason is None:
                raise explained(error, self._table.name) from error
            throttled = reason == "throttled"
            return requests, error
        else:
            return left, None
        finally:
            self._pace.end(began, throttled=throttled)

    def _given_up(self, failure: Exception | None) -> Exception:
        if failure is not None:
            return explained(failure, self._table.name)
        message = f"{self._table.shown} leaves writes undone, {_ATTEMPTS} times in a row."
        return ThrottledError(message, "raise its write capacity or make it on-demand, and push again: it goes on.")
