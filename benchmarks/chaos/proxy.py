"""Between drivers and a REST catalog: answers to commits are lost, late, twice, or wrong.

Everything else passes as it is. A request's bytes aren't changed, so its signature stays right.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["FAULTS", "CatalogProxy", "run_proxy"]

FAULTS = ("lost", "conflict", "unavailable", "unavailable-after", "late", "twice")
"""What may happen to a commit: it lands and the answer is lost; it lands and the answer is 409; it doesn't land
and the answer is 503; it lands and the answer is 503; it lands late; it is sent twice, and the second answer comes."""
_LATE_SECONDS = 1.5
_TIMEOUT_SECONDS = 60
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


class CatalogProxy:
    """A running proxy."""

    def __init__(self, target: str, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self.host, self.port = urlsplit(target).hostname, urlsplit(target).port
        self.met: Counter[str] = Counter()
        """How often each fault happened."""
        self._planned: list[str] = []
        self._lock = threading.Lock()

    def plan(self, faults: Sequence[str]) -> None:
        """What happens to the next commits, one after another; the later ones pass."""
        with self._lock:
            self._planned = list(faults)

    def next_fault(self) -> str | None:
        """What happens to the commit that has just come."""
        with self._lock:
            fault = self._planned.pop(0) if self._planned else None
            if fault:
                self.met[fault] += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: CatalogProxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.next_fault() if self._is_commit(body) else None
        if fault == "unavailable":
            self._answer(503, b"{}")
            return
        if fault == "late":
            time.sleep(_LATE_SECONDS)
        status, headers, answer = self._forward(body)
        if fault == "twice":
            status, headers, answer = self._forward(body)
        if fault == "lost":
            self.close_connection = True
        elif fault == "conflict":
            said = {"error": {"message": "another commit was faster", "type": "CommitFailedException", "code": 409}}
            self._answer(409, json.dumps(said).encode())
        elif fault == "unavailable-after":
            self._answer(503, b"{}")
        else:
            self._answer(status, answer, headers)

    do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = handle_any  # noqa: N815  (names of the base class)

    def _is_commit(self, body: bytes) -> bool:
        return self.command == "POST" and "/tables/" in self.path and b'"add-snapshot"' in body

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.host or "", self.proxy.port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers or [("Content-Type", "application/json")]:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # a client that was killed

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def run_proxy(target: str) -> Generator[CatalogProxy]:
    """A proxy on loopback before the catalog at `target`."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Handler.proxy = CatalogProxy(target, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Handler.proxy
        finally:
            server.shutdown()
            thread.join()
