"""A store that doesn't know conditional writes says so, and that is understood."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = b"<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality</Message></Error>"


class _Refusing(BaseHTTPRequestHandler):
    """What S3-compatible stores answered to `If-None-Match` before they knew it."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = "If-None-Match" not in self.headers
        self.send_response(200 if known else 501)
        body = b"" if known else ANSWER
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("kind", ["obstore", "boto3"])
def test_a_refused_condition_is_no_failure_of_the_store(endpoint: str, kind: str) -> None:
    """An UnsupportedError that names the object, whatever it is called; a plain put is fine."""
    transport = open_transport(
        {
            "s3.endpoint": endpoint,
            "s3.access-key-id": "a",
            "s3.secret-access-key": "b",
            "s3.region": "us-east-1",
            "lakeflow.s3.transport": kind,
        }
    )

    with pytest.raises(UnsupportedError, match=r"s3://plain/NotImplemented.* no conditional writes"):
        transport.put_if_absent("s3://plain/NotImplemented", b"x")
    transport.put("s3://plain/NotImplemented", b"x")
