"""Range requests on an event loop of their own: the oldest first, paced, retried, hedged.

One thread for all requests of a scan: a request that stalls is a task that can be cancelled, which
a blocked thread is not. Requests are sent in the order in which their bytes will be consumed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import heappop, heappush
from threading import Thread
from typing import TYPE_CHECKING

from lakeflow_io.errors import AccessDeniedError, ObjectNotFoundError, StoreError, StoreFullError, ThrottledError
from lakeflow_io.reader.located import located
from lakeflow_io.reader.pace import MOST_REQUESTS, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow_io.parquet.ranges import ByteRange
    from lakeflow_io.reader.report import Counters
    from lakeflow_io.storage import Transport

__all__ = ["Fetcher"]

_ATTEMPTS = 10
# Each stall but the first doubles the patience. A store that says nothing for 128 times as long as the
# first one lasted, a minute at least, is down.
_STALLS = 8
_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.05, 5.0
_FINAL = (AccessDeniedError, ObjectNotFoundError, StoreFullError)
# How often a request that is waited for is compared with what has been learnt since.
_LOOK_SECONDS = 0.25


class _StalledError(StoreError):
    """A request that was given up; never leaves this module."""


@dataclass(slots=True)
class _Batch:
    """Requests that are wanted together."""

    done: Callable[[list[memoryview] | BaseException], None]
    parts: list[memoryview | None]
    missing: int
    failed: bool = False


@dataclass(slots=True, order=True)
class _Request:
    order: tuple[int, int]
    uri: str = field(compare=False)
    where: ByteRange = field(compare=False)
    batch: _Batch = field(compare=False)
    index: int = field(compare=False)


class _Try:
    """One request on the wire."""

    __slots__ = ("first_byte", "task")

    task: asyncio.Task[memoryview]
    first_byte: float | None
    """Seconds until it came; None where it hasn't, or the transport doesn't tell."""

    def __init__(self) -> None:
        self.first_byte = None


class Fetcher:
    """The requests of one scan.

    Args:
        transport: The store.
        counters: Where they are counted.
        name: The thread's.
    """

    def __init__(self, transport: Transport, counters: Counters, name: str = "lakeflow-fetch") -> None:
        self._transport = transport
        self._counters = counters
        self._pace = Pace()
        self._asked: deque[tuple[int, str, Sequence[ByteRange], _Batch]] = deque()
        self._woken = False
        self._queue: list[_Request] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._active = 0
        self._in_flight = 0
        self._closing = False
        self._sequence = 0
        self._random = random.Random(0)  # noqa: S311  (spreads retries; seeded so that a test sees the same)
        self._loop = asyncio.new_event_loop()
        # For transports that block: as many threads as there may be requests, started when they are needed.
        self._loop.set_default_executor(ThreadPoolExecutor(MOST_REQUESTS, name))
        self._thread = Thread(target=self._run_loop, name=name, daemon=True)
        self._thread.start()

    @property
    def window(self) -> int:
        """Bytes in flight, from which on no further request is sent."""
        return self._pace.window

    def fetch(
        self,
        order: int,
        uri: str,
        ranges: Sequence[ByteRange],
        done: Callable[[list[memoryview] | BaseException], None],
    ) -> None:
        """Ask for ranges of one object.

        Args:
            order: Lower ones are sent first.
            uri: The object.
            ranges: At least one.
            done: Called once, on the fetcher's thread: with the bytes of each range, or what went wrong
                (an error of ours that says which range). Not called once the fetcher is being closed.
        """
        batch = _Batch(done, [None] * len(ranges), len(ranges))
        self._asked.append((order, uri, ranges, batch))
        # Waking the loop takes a system call: once is enough for all that it will find.
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._enqueue)

    def close(self) -> None:
        """Drop every request; returns when none is left, nor the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            # A decoder may be asking for more at this moment: what it adds from here on is not begun.
            self._closing = True
            self._queue.clear()
            # All tasks, not only the requests': a hedge that lost may still be on its way out.
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def _enqueue(self) -> None:
        self._woken = False
        while self._asked and not self._closing:
            order, uri, ranges, batch = self._asked.popleft()
            for index, where in enumerate(ranges):
                self._sequence += 1
                heappush(self._queue, _Request((order, self._sequence), uri, where, batch, index))
        self._send()

    def _send(self) -> None:
        while self._queue and self._active < self._pace.limit:
            if self._in_flight >= self._pace.window:
                self._pace.held_back()
                break
            request = heappop(self._queue)
            if not request.batch.failed:
                self._active += 1
                self._in_flight += request.where.length
                task = self._loop.create_task(self._serve(request))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self._counters.concurrency = max(self._counters.concurrency, self._active)

    async def _serve(self, request: _Request) -> None:
        batch = request.batch
        try:
            data = await self._with_retries(request)
        except BaseException as error:  # noqa: BLE001  (whatever it is, the scan's consumer is told)
            # Also a cancellation that isn't ours: a transport's own, which nobody else would hear of.
            if not batch.failed and not self._closing:
                batch.failed = True
                where = request.where
                batch.done(located(error, f"bytes {where.start}-{where.end} of {request.uri}"))
        else:
            batch.parts[request.index] = data
            batch.missing -= 1
            if not batch.missing and not batch.failed:
                batch.done([part for part in batch.parts if part is not None])
        finally:
            self._active -= 1
            self._in_flight -= request.where.length
            self._send()

    async def _with_retries(self, request: _Request) -> memoryview:
        stalls = 0
        for attempt in range(_ATTEMPTS):
            try:
                return await self._attempt(request, patience=2 ** max(0, stalls - 1))
            except _FINAL:
                raise
            except StoreError as error:
                if isinstance(error, ThrottledError):
                    self._counters.throttled += 1
                    self._pace.throttled()
                stalls += isinstance(error, _StalledError)
                if attempt == _ATTEMPTS - 1 or stalls == _STALLS:
                    told = StoreError(error.message, error.hint) if isinstance(error, _StalledError) else error
                    raise located(told, f"{attempt + 1} attempts") from error.__cause__
                self._counters.retries += 1
                longest = min(_LONGEST_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**attempt)
                pause = 0.0 if isinstance(error, _StalledError) else self._random.uniform(0, longest)
            await asyncio.sleep(pause)
        raise AssertionError  # the last attempt returns or raises

    async def _attempt(self, request: _Request, patience: int) -> memoryview:
        """One request and at most one hedge; the first answer counts, the other is dropped."""
        size, began = request.where.length, time.perf_counter()
        first = self._try(request)
        tries = [first]
        try:
            while True:
                passed = time.perf_counter() - began
                hedge = self._pace.hedge_after(size, self._active, begun=first.first_byte is not None)
                stalled = self._pace.stalled_after(size, self._active) * patience
                if passed >= stalled:
                    raise _StalledError(
                        f"{request.uri} stalled: {size} bytes didn't come in {passed:.1f} s.",
                        "check the endpoint and the network, then retry.",
                    )
                counted = self._counters
                if passed >= hedge and len(tries) == 1 and self._pace.may_hedge(counted.requests, counted.hedges):
                    counted.hedges += 1
                    tries.append(self._try(request))
                until = min(stalled, hedge if len(tries) == 1 and passed < hedge else stalled) - passed
                tasks = [each.task for each in tries]
                await asyncio.wait(tasks, timeout=min(_LOOK_SECONDS, until), return_when=asyncio.FIRST_COMPLETED)
                for each in tries:
                    if each.task.done() and not each.task.cancelled() and not each.task.exception():
                        return each.task.result()
                if all(task.done() for task in tasks):
                    return tasks[0].result()
                tries = [each for each in tries if not each.task.done()]
        finally:
            # Not waited for: a transport that doesn't let itself be cancelled must not hold up the answer.
            for each in tries:
                each.task.cancel()

    def _try(self, request: _Request) -> _Try:
        self._counters.requests += 1
        self._counters.bytes_fetched += request.where.length
        tried = _Try()
        tried.task = self._loop.create_task(self._get(request, tried))
        tried.task.add_done_callback(_noticed)
        return tried

    async def _get(self, request: _Request, tried: _Try) -> memoryview:
        where, began = request.where, time.perf_counter()

        def begun() -> None:
            tried.first_byte = time.perf_counter() - began

        data = await self._transport.get_range_async(request.uri, where.start, where.length, on_first_byte=begun)
        total = time.perf_counter() - began
        first_byte = total if tried.first_byte is None else tried.first_byte
        self._counters.first_bytes.append(first_byte)
        self._pace.answered(where.length, first_byte, total, self._active)
        return data


def _noticed(task: asyncio.Task[memoryview]) -> None:
    """Look at the failure of a request that lost: asyncio complains about those that nobody saw."""
    if not task.cancelled():
        task.exception()
