"""A proxy in front of a real DynamoDB server: it counts requests, and loses, refuses or holds some."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Request:
    """One that came."""

    number: int
    """From 0, in the order in which they came."""
    operation: str
    """Such as BatchWriteItem."""
    body: dict[str, Any]


Act = str | tuple[str, int] | None
"""What happens to a request: None, it is forwarded; "lose" and "forget", the connection ends before or after it is
carried out; ("leave", n), all of a batch but n are carried out; any other text, it is refused with that code."""


@dataclass
class FaultyDynamoDB:
    """The proxy, while it runs."""

    upstream: str
    url: str = ""
    """Its own address."""
    act: Callable[[Request], Act] = lambda _: None
    """Called for each request, in threads; may wait."""
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, *operations: str) -> int:
        """How many requests of these kinds came."""
        return sum(request.operation in operations for request in self.requests)

    def note(self, operation: str, body: dict[str, Any]) -> Request:
        """Write a request down."""
        with self.lock:
            request = Request(len(self.requests), operation, body)
            self.requests.append(request)
            return request


@contextmanager
def faulty_dynamodb(upstream: str) -> Iterator[FaultyDynamoDB]:
    """Run a proxy on loopback in front of a server's address."""
    proxy = FaultyDynamoDB(upstream)

    class Handler(_Handler):
        faulty = proxy

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    faulty: ClassVar[FaultyDynamoDB]

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        body = json.loads(data)
        act = self.faulty.act(self.faulty.note(operation, body))
        if act == "lose":
            self.close_connection = True
        elif isinstance(act, tuple):
            self._leave(operation, body, act[1])
        elif act in (None, "forget"):
            status, answer = self._forward(data)
            if act:
                self.close_connection = True
            else:
                self._answer(status, answer)
        else:
            self._answer(400, json.dumps({"__type": f"com.amazonaws.dynamodb#{act}", "message": "on purpose"}).encode())

    def _leave(self, operation: str, body: dict[str, Any], count: int) -> None:
        """Have the server do a part of a batch, and say so."""
        write = operation == "BatchWriteItem"
        ((table, asked),) = body["RequestItems"].items()
        many = asked if write else asked["Keys"]
        done, left = many[: len(many) - count], many[len(many) - count :]
        part = done if write else {**asked, "Keys": done}
        rest = left if write else {**asked, "Keys": left}
        status, answer = 200, b'{"Responses": {}}'
        if done:
            status, answer = self._forward(json.dumps({**body, "RequestItems": {table: part}}).encode())
        unprocessed = {table: rest} if left else {}
        content = {**json.loads(answer), "UnprocessedItems" if write else "UnprocessedKeys": unprocessed}
        self._answer(status, json.dumps(content).encode())

    def _forward(self, data: bytes) -> tuple[int, bytes]:
        to = urlsplit(self.faulty.upstream)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")
        }
        connection = HTTPConnection(str(to.hostname), to.port)
        try:
            connection.request("POST", "/", data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""
