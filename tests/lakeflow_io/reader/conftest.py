"""Transports that a test scripts or looks into, and the threads of a scan."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.parquet.native.pool import buffer_pool
from lakeflow_io.parquet.ranges import ByteRange
from lakeflow_io.reader import Counters, fetch, pace
from lakeflow_io.reader.fetch import Fetcher
from lakeflow_io.storage import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER_SECONDS = 1e9
HANG_SECONDS = 240


class _Buffer(bytearray):
    """Bytes that were fetched; tells when the last view of them is gone."""

    def __init__(self, data: memoryview, gone: Callable[[int], None]) -> None:
        super().__init__(data)
        self._gone = gone

    def __del__(self) -> None:
        self._gone(len(self))


class WatchedTransport(MemoryTransport):
    """Counts requests that are open and fetched bytes that somebody still has."""

    def __init__(self) -> None:
        super().__init__()
        self.open = 0
        self.alive = 0
        self.fetched = 0
        self._watch = threading.RLock()  # a buffer may die in the middle of anything
        self.begin()

    def begin(self) -> None:
        """Count from here; what waits for the garbage collector doesn't count."""
        gc.collect()
        self.peak = 0
        self.before = buffer_pool().bytes_allocated() + pa.total_allocated_bytes()

    @property
    def held(self) -> int:
        """Bytes fetched and decoded that are alive, over what was decoded at the beginning."""
        return self.alive + buffer_pool().bytes_allocated() + pa.total_allocated_bytes() - self.before

    def look(self) -> None:
        """Remember the most that was held at any look."""
        with self._watch:
            self.peak = max(self.peak, self.held)

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """As asked; a copy of its own, which is counted as long as it lives."""
        with self._watch:
            self.open += 1
        try:
            await self.answer(uri, start, length)
            data = await super().get_range_async(uri, start, length, on_first_byte)
        finally:
            with self._watch:
                self.open -= 1
        with self._watch:
            self.alive += length
            self.fetched += length
        self.look()
        return memoryview(_Buffer(data, self._forget)).toreadonly()

    async def answer(self, uri: str, start: int, length: int) -> None:
        """A place for a test's own delays and failures."""

    def _forget(self, size: int) -> None:
        with self._watch:
            self.alive -= size


def reader_threads() -> list[threading.Thread]:
    """Threads that scans have started and that are alive."""
    names = "lakeflow-fetch", "lakeflow-decode", "lakeflow-close"
    return [each for each in threading.enumerate() if each.name.startswith(names)]


@pytest.fixture
def watched() -> WatchedTransport:
    """A transport that counts what is open and what is alive."""
    return WatchedTransport()


@pytest.fixture
def threads() -> Callable[[], list[threading.Thread]]:
    """Threads that scans have started and that are alive; those of an earlier test's garbage are gone."""
    gc.collect()
    return reader_threads


@dataclass
class Sent:
    """A request that has come to the store; the test answers it."""

    start: int
    length: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[memoryview]
    dropped: Event = field(default_factory=Event)

    def succeed(self) -> None:
        """Give the bytes that were asked for: their own offsets."""
        data = memoryview(Scripted.bytes_at(self.start, self.length))
        self.loop.call_soon_threadsafe(self._settle, self.answer.set_result, data)

    def fail(self, error: BaseException) -> None:
        """Raise in the transport."""
        self.loop.call_soon_threadsafe(self._settle, self.answer.set_exception, error)

    def _settle(self, how: Callable[[Any], None], what: Any) -> None:
        if not self.answer.done():
            how(what)


class Scripted:
    """A transport whose requests wait for the test."""

    def __init__(self) -> None:
        self.arrived: SimpleQueue[Sent] = SimpleQueue()
        self.on_drop: Callable[[], None] = lambda: None

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """Waits for the test."""
        del uri, on_first_byte
        loop = asyncio.get_running_loop()
        sent = Sent(start, length, loop, loop.create_future())
        self.arrived.put(sent)
        try:
            return await sent.answer
        except asyncio.CancelledError:
            self.on_drop()
            sent.dropped.set()
            raise

    @staticmethod
    def bytes_at(start: int, length: int = 10) -> bytes:
        """What the object has there."""
        return bytes((start + i) % 251 for i in range(length))

    def next(self) -> Sent:
        """The next request that comes."""
        return self.arrived.get(timeout=HANG_SECONDS)


class Done:
    """What a fetch was told, each time."""

    def __init__(self) -> None:
        self.told: SimpleQueue[Any] = SimpleQueue()

    def __call__(self, got: Any) -> None:
        """As a fetcher calls it."""
        self.told.put(got)

    def get(self) -> Any:
        """What it was told next."""
        return self.told.get(timeout=HANG_SECONDS)


@pytest.fixture
def store() -> Scripted:
    """The store."""
    return Scripted()


@pytest.fixture
def counters() -> Counters:
    """The fetcher's."""
    return Counters()


@pytest.fixture
def fetcher(store: Scripted, counters: Counters, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetcher]:
    """A fetcher that doesn't pause, and that neither hedges nor gives up unless a test says when."""
    monkeypatch.setattr(fetch, "_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(pace, "_LEAST_HEDGE_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(pace, "_LEAST_STALL_SECONDS", NEVER_SECONDS)
    made = Fetcher(store, counters)  # type: ignore[arg-type]  # all of a transport that it uses
    yield made
    made.close()


@pytest.fixture
def ask(fetcher: Fetcher) -> Callable[..., Done]:
    """Ask for `parts` ranges of ten bytes from `start` on."""

    def call(start: int, *, order: int = 0, parts: int = 1) -> Done:
        done = Done()
        fetcher.fetch(order, "s3://b/k", [ByteRange(start + 10 * i, 10) for i in range(parts)], done)
        return done

    return call


@pytest.fixture
def warmed(ask: Callable[..., Done], store: Scripted) -> None:
    """Eight requests have been answered, so that there is something to compare with."""
    for number in range(8):
        done = ask(number)
        store.next().succeed()
        done.get()
