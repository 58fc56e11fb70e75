"""Whoever is still sending when the answer comes gets the answer, not a reset; within bounds."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from lakeflow.serve import lingering as lingering_module
from lakeflow.serve.lingering import lingering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 65_536
LIMIT_PIECES = 16  # of the largest body
PATHS = {"/v1/caches/numbers:batchGet": 413, "/v1/caches/numbers": 405, "/nowhere": 404}


@pytest.fixture(scope="module")
def url(serving: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server without caches."""
    with serving(tmp_path_factory.mktemp("caches")) as (_, url):
        yield url


@pytest.fixture
def connection(url: str) -> Iterator[socket.socket]:
    """A connection of its own to the server."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=120) as connected:
        yield connected


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: x", *lines, "", ""]).encode()


def answer(connection: socket.socket) -> httpx.Response:
    """Read one answer, and no byte more."""
    read = b""
    while b"\r\n\r\n" not in read:
        got = connection.recv(1)
        assert got, f"the server hung up after {read!r}"
        read += got
    status, *lines = read.decode().split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    body = connection.recv(int(headers["content-length"]), socket.MSG_WAITALL)
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("chunked", [True, False])
def test_the_answer_comes_first_and_the_rest_is_read(connection: socket.socket, path: str, *, chunked: bool) -> None:
    """Before the body is whole the client is answered; when it has sent the rest, the connection goes on."""
    pieces = 4 * LIMIT_PIECES
    how = "transfer-encoding: chunked" if chunked else f"content-length: {pieces * PIECE}"
    piece = b" " * PIECE
    if chunked:
        piece = b"%x\r\n%s\r\n" % (PIECE, piece)

    connection.sendall(head(path, how) + piece * (LIMIT_PIECES + 1))
    first = answer(connection)
    for _ in range(pieces - LIMIT_PIECES - 1):
        connection.sendall(piece)
    connection.sendall((b"0\r\n\r\n" if chunked else b"") + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    second = answer(connection)

    assert first.status_code == PATHS[path] == first.json()["error"]["status"]
    assert (second.status_code, second.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("pieces", [LIMIT_PIECES + 1, LIMIT_PIECES + 2, 4 * LIMIT_PIECES])
def test_a_client_that_reads_when_it_has_sent_all(url: str, pieces: int) -> None:
    """Whatever is in whose buffer when the answer leaves: of hundreds that crowd the server, none loses it."""
    whole = b" " * PIECE * pieces

    def send(number: int) -> int:
        body = whole if number % 2 else iter([whole[:PIECE]] * pieces)
        return client.post("/v1/caches/numbers:batchGet", content=body).status_code

    with httpx.Client(base_url=url, timeout=120) as client, ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(200))) == {413}


def test_a_body_without_end_is_cut_off(connection: socket.socket) -> None:
    """What is read in vain has a bound."""
    connection.sendall(head("/v1/caches/numbers:batchGet", "transfer-encoding: chunked"))
    pieces = b"%x\r\n%s\r\n" % (PIECE, b" " * PIECE) * (2 * lingering_module._BYTES // PIECE)

    with pytest.raises(ConnectionError):
        connection.sendall(pieces)


def test_who_asks_before_sending_is_answered_and_let_go(connection: socket.socket) -> None:
    """`Expect: 100-continue` isn't answered with leave to send what is refused, nor is it waited for."""
    connection.sendall(head("/v1/caches/numbers:batchGet", f"content-length: {PIECE << 10}", "expect: 100-continue"))

    assert answer(connection).status_code == 413
    assert connection.recv(1) == b""


def test_who_stops_sending_is_waited_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the application returns, and its server closes the connection."""
    monkeypatch.setattr(lingering_module, "_SECONDS", 0.01)
    asked = 0

    async def inner(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked > 2:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": b"part", "more_body": True}

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    anyio.run(lingering(inner), scope, receive, None)

    assert asked == 3
