"""HTTP/1.1 on one connection: requests in, answers out, with few system calls.

The standard library's server parses headers as mail and copies bodies; both would cost more CPU
than the client under test spends. There is no pipelining: no client of S3 does it.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.s3like.answers import Answer

__all__ = ["Connection", "Request"]

_RECEIVE_BYTES = 1 << 20
_HEAD_BYTES = 64 * 1024
_SEND_BYTES = 256 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    path: str
    """Decoded, with its leading slash."""
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""


class Connection:
    """A client's socket."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self._held = b""

    def request(self) -> Request | None:
        """The next one; None once the client has closed."""
        held = self._held
        while (end := held.find(b"\r\n\r\n")) < 0:
            more = self.socket.recv(_HEAD_BYTES)
            if not more or len(held) > _HEAD_BYTES:
                return None
            held += more
        self._held = held[end + 4 :]
        first, *lines = held[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        pairs = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        return Request(method, unquote(path), pairs, headers)

    def receive(self, limit: int = _RECEIVE_BYTES) -> bytes:
        """Some bytes of a body; ConnectionError if the client is gone."""
        if self._held:
            taken, self._held = self._held[:limit], self._held[limit:]
            return taken
        taken = self.socket.recv(min(limit, _RECEIVE_BYTES))
        if not taken:
            raise ConnectionResetError("the client closed within a body")
        return taken

    def unread(self, data: bytes) -> None:
        """Give back what belongs to the next request."""
        self._held = data + self._held

    def go_on(self) -> None:
        """Tell a client that asked whether to send its body."""
        self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send(self, answer: Answer, *, with_body: bool, parts: Iterator[int], take: Callable[[int], None]) -> None:
        """Send the head, and the body up to each of `parts` in turn.

        `parts` yields ends, in ascending order; between two, its generator may wait. A body whose
        last end is before its size is cut. `take` waits until so many bytes may leave.
        """
        head = _head(answer)
        if not with_body or not answer.size:
            self.socket.sendall(head)
            return
        sent = 0
        for end in parts:
            sent = self._send_until(answer, head, sent, end, take)
            head = b""

    def _send_until(self, answer: Answer, head: bytes, sent: int, end: int, take: Callable[[int], None]) -> int:
        blob = answer.blob
        if blob is None or blob.data is not None:
            body = answer.body if blob is None else blob.read(answer.start, answer.length)
            take(end - sent)
            self.socket.sendall(head + body[sent:end])
            return end
        if head:
            self.socket.sendall(head, socket.MSG_MORE)
        to = self.socket.fileno()
        while sent < end:
            size = min(_SEND_BYTES, end - sent)
            take(size)
            stop = sent + size
            while sent < stop:
                sent += os.sendfile(to, blob.fd, answer.start + sent, stop - sent)
        return sent


def _head(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}", f"Date: {_date()}", "Server: s3like"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if "Content-Length" not in answer.headers:
        lines.append(f"Content-Length: {answer.size}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_dated: tuple[int, str] = (0, "")


def _date() -> str:
    global _dated  # noqa: PLW0603  (formatting costs as much as the rest of the head: once a second)
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True))
    return _dated[1]
