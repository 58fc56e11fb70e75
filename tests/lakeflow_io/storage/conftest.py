"""A web server for tests: every request is recorded and answered by the test's own function."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes = b""


@dataclass
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send so many bytes of the body, and end the connection."""
    hang_up: bool = False
    """End the connection in place of an answer."""


@dataclass
class Server:
    """A running server."""

    url: str
    requests: list[Request] = field(default_factory=list)


def ranged(request: Request, data: bytes) -> Answer:
    """The answer of a store that has `data`: the range that was asked for."""
    first, _, last = request.headers.get("range", f"bytes=0-{len(data) - 1}").removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(len(data), int(last) + 1) if first and last else len(data)
    if start >= len(data):
        return Answer(416)
    headers = {
        "Content-Range": f"bytes {start}-{end - 1}/{len(data)}",
        "ETag": '"e"',
        "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    return Answer(206, data[start:end], headers)


@dataclass
class Web:
    """What a test needs to be a server."""

    serve: Callable[[Callable[[Request], Answer]], Server]
    """Runs a server until the test ends."""
    answer: type[Answer] = Answer
    ranged: Callable[[Request, bytes], Answer] = ranged


@pytest.fixture
def web() -> Iterator[Web]:
    """Web servers on loopback, stopped when the test ends."""
    with _servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def lasting_web() -> Iterator[Web]:
    """The same, stopped when the file's tests have ended."""
    with _servers() as servers:
        yield servers


@contextmanager
def _servers() -> Generator[Web]:
    with ExitStack() as stack:
        yield Web(lambda answer: stack.enter_context(_serving(answer)))


@contextmanager
def _serving(answer: Callable[[Request], Answer]) -> Generator[Server]:
    """Run a server on loopback whose threads call `answer`."""
    server = Server("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            return

        def _any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            request = Request(self.command, self.path, headers, body)
            server.requests.append(request)
            reply = answer(request)
            if reply.hang_up:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body[: reply.cut])
            if reply.cut is not None:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815  (http.server's names)

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
