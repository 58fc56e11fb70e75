"""A small generator of load: so many connections, each with one request under way, all on one event loop.

It takes requests as bytes and answers apart at their content-length, so that it costs some ten microseconds of
processor a request; `http.measured` tells what it reaches where the server does nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Answered", "batch_request", "get_request", "send_all"]

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_OK = b"HTTP/1.1 200"


@dataclass(slots=True)
class Answered:
    """What a load came to."""

    seconds: float = 0.0
    """From the first request to the last answer."""
    taken: list[int] = field(default_factory=list)
    """Nanoseconds of each request."""


def get_request(path: str, key: str) -> bytes:
    """A GET of one key."""
    return f"GET {path}{quote(key)} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()


def batch_request(path: str, keys: Sequence[str], accept: str) -> bytes:
    """A POST of many keys as JSON."""
    body = json.dumps({"keys": keys}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\naccept: {accept}\r\n"
    return f"{head}content-length: {len(body)}".encode() + _HEAD_END + body


async def send_all(port: int, requests: Sequence[bytes], connections: int) -> Answered:
    """Send all requests, each connection the next one when it has its answer.

    Raises:
        RuntimeError: an answer isn't 200, or a connection was closed.
    """
    loop = asyncio.get_running_loop()
    answered, waiting = Answered(), iter(requests)
    opened = [
        await loop.create_connection(lambda: _Connection(waiting, answered, loop.create_future()), "127.0.0.1", port)
        for _ in range(connections)
    ]
    started = time.perf_counter()
    for _, connection in opened:
        connection.next()
    await asyncio.gather(*(connection.done for _, connection in opened))
    answered.seconds = time.perf_counter() - started
    for transport, _ in opened:
        transport.close()
    return answered


class _Connection(asyncio.Protocol):
    """One connection: at most one request is under way."""

    def __init__(self, waiting: Iterator[bytes], answered: Answered, done: asyncio.Future[None]) -> None:
        self.done = done
        self._waiting, self._answered = waiting, answered
        self._got = bytearray()
        self._size = 0
        """Of the answer that is coming, its head included; 0 while that isn't known."""
        self._sent_at = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._transport = transport

    def next(self) -> None:
        """Send the next request, if there is one."""
        request = next(self._waiting, None)
        if request is None:
            self.done.set_result(None)
            return
        self._sent_at = time.perf_counter_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        self._got += data
        if not self._size:
            end = self._got.find(_HEAD_END)
            if end < 0:
                return
            self._size = end + len(_HEAD_END) + self._length(bytes(self._got[:end]))
        if len(self._got) < self._size:
            return
        self._answered.taken.append(time.perf_counter_ns() - self._sent_at)
        self._got.clear()
        self._size = 0
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail where answers are still to come."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the server closed a connection: {error}"))

    def _length(self, head: bytes) -> int:
        if not head.startswith(_OK):
            self.done.set_exception(RuntimeError(f"an answer begins with {head[:40]!r}"))
            self._transport.abort()
        return int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0])
