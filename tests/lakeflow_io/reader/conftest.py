"""Transports that a test can look into, and the threads of a scan."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lakeflow_io.parquet.native.pool import buffer_pool
from lakeflow_io.storage import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable


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
        self.peak = 0
        self.before = buffer_pool().bytes_allocated() + pa.total_allocated_bytes()
        self._watch = threading.RLock()  # a buffer may die in the middle of anything

    @property
    def held(self) -> int:
        """Bytes fetched and decoded that are alive, over what was decoded when the transport was made."""
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
    return [each for each in threading.enumerate() if each.name.startswith("lakeflow-")]


@pytest.fixture
def watched() -> WatchedTransport:
    """A transport that counts what is open and what is alive."""
    return WatchedTransport()


@pytest.fixture
def threads() -> Callable[[], list[threading.Thread]]:
    """Threads that scans have started and that are alive."""
    return reader_threads
