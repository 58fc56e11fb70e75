"""Whatever is sent, the answer is one of HTTP's, soon, with the caller's mistake in it and nothing of the server's."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.cache import Cache
from lakeflow.serve import app
from lakeflow.serve.openapi import document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lakeflow.serve.asgi import Application

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
DOCUMENT = document("", protected=False)
OPERATIONS = [
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods if "{name}" in path
]
REFUSALS = {400, 404, 405, 408, 413, 414, 415, 431}


def stream(keys: Any, **more: Any) -> bytes:
    """An IPC stream of one column; of several, by name, where there are more."""
    columns = {"text": keys, **more} if more else {"key": keys}
    batch = pa.record_batch(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches of every kind of key."""
    root = tmp_path_factory.mktemp("caches")
    texts = ["é", "", "a/b"]
    large = pa.array(texts, pa.large_string())
    for name, keys in (("numbers", [1, -2]), ("texts", texts), ("large", large), ("binary", [b"\xff", b""])):
        Cache(name, root).load(pa.table({"key": keys, "n": range(len(keys))}), key="key")
    Cache("pairs", root).load(pa.table({"text": texts, "number": [1, 2, 3]}), key=["text", "number"])
    return root


@pytest.fixture(scope="module")
def application(root: Path) -> Application:
    """What is asked, without a server that would refuse the worst before."""
    return app(root)


@pytest.fixture(scope="module")
def client(root: Path, serving: Any) -> Iterator[httpx.Client]:
    """Of a running server."""
    with serving(root) as (_, url), httpx.Client(base_url=url, timeout=120) as client:
        yield client


texts = st.text(max_size=12) | st.sampled_from(["é", "", "a/b", "..", "%", "a:batchGet", "1", "-2", "9" * 25, "\ud800"])
encoded = st.builds(lambda each: quote(each.encode("utf-8", "surrogatepass"), safe="").encode(), texts)
raw = st.binary(max_size=12) | encoded | st.lists(encoded, max_size=3).map(b",".join)
parts = st.sampled_from([b"", b"v1", b"caches", b"texts", b"numbers:batchGet", b"?"])
names = st.sampled_from([b"numbers", b"texts", b"large", b"binary", b"pairs", b"none"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
queries = raw | st.builds(
    lambda names: b"columns=" + b",".join(names),
    st.lists(st.sampled_from([b"id", b"text", b"n"]) | encoded, max_size=3),
)
keys = st.lists(st.integers(-3, 3), max_size=4) | st.lists(texts, max_size=4) | st.lists(values, max_size=3)
bodies = st.one_of(
    st.builds(lambda keys: json.dumps({"keys": keys}).encode(), keys),
    st.builds(lambda value: json.dumps(value).encode(), values),
    st.sampled_from([stream([1, -2]), stream(["é"]), stream([b"\xff"]), stream([None]), stream([1.5])]),
    st.sampled_from([stream(["é"], number=[1]), stream(["é"], number=["1"]), stream([None], number=[1])]),
    st.binary(max_size=30),
)
headers = st.lists(
    st.one_of(
        st.tuples(st.just(b"content-type"), st.sampled_from([JSON.encode(), ARROW.encode(), b"text/csv", b";"])),
        st.tuples(st.just(b"accept"), st.sampled_from([JSON.encode(), ARROW.encode(), b"*/*", b"a/b;q=x, ;"])),
        st.tuples(
            st.sampled_from([b"if-none-match", b"content-length", b"content-encoding", b"authorization", b"x"]),
            st.sampled_from([b"*", b"identity", b'W/"', b"-1", b"99999999999999999999"]) | st.binary(max_size=8),
        ),
    ),
    max_size=3,
)


def answered(application: Application, scope: dict[str, Any], body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """What an application sends back: a status, headers and a body, within a second."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        async with asyncio.timeout(10):
            await application({"type": "http", "path": "", **scope}, receive, send)

    asyncio.run(ask())
    start, end = sent
    return start["status"], dict(start["headers"]), end["body"]


def check(status: int, headers: dict[bytes, bytes], body: bytes, root: Path) -> None:
    """No failure of the server, and no word of its code or folders; errors in their one form."""
    assert status in {200, 304} | REFUSALS
    assert b"Traceback" not in body
    assert str(root).encode() not in body
    if headers.get(b"content-type") == JSON.encode() and body:
        content = json.loads(body)
        assert status < 400 or content["error"]["status"] == status


@settings(max_examples=100)
@given(st.sampled_from(OPERATIONS), names, raw, queries, headers, bodies)
def test_requests_that_the_document_describes(
    application: Application,
    root: Path,
    operation: Any,
    name: bytes,
    key: bytes,
    query: bytes,
    headers: Any,
    body: bytes,
) -> None:
    """Whatever stands in place of keys, columns, headers and bodies."""
    method, template = operation
    path = template.encode().replace(b"{name}", name).replace(b"{key}", key)

    scope = {"method": method, "raw_path": path, "query_string": query, "headers": headers}
    check(*answered(application, scope, body), root)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "", "X" * 99]),
    st.builds(
        b"/".join, st.lists(parts | raw, max_size=6).map(lambda after: [b"", b"v1", b"caches", *after]) | st.lists(raw)
    ),
    st.sampled_from(["", "/", "/v1", "/é", "v1//"]),
    headers,
    bodies,
)
def test_any_method_and_path(
    application: Application, root: Path, method: str, path: bytes, mounted_at: str, headers: Any, body: bytes
) -> None:
    """Below any mount point, with any number of slashes."""
    scope = {"method": method, "raw_path": path, "root_path": mounted_at, "headers": headers}

    check(*answered(application, scope, body), root)


@pytest.mark.parametrize("accept", [JSON, ARROW])
@pytest.mark.parametrize("name", ["numbers", "texts", "large", "binary", "pairs"])
def test_text_that_utf8_cannot_hold_is_the_callers_mistake(
    application: Application, root: Path, name: str, accept: str
) -> None:
    """Half a pair of surrogates, alone and behind a key that is there, escaped or as bytes, wherever a key may be."""
    headers = [(b"accept", accept.encode())]
    path = f"/v1/caches/{name}".encode()
    there = {"numbers": 1, "binary": "/w==", "pairs": ["é", 1]}.get(name, "é")
    half = ["\ud800", 1] if name == "pairs" else "\ud800"
    batches = [
        json.dumps({"keys": keys}, ensure_ascii=escaped)
        for keys in ([half], [there, half])
        for escaped in (False, True)
    ]

    one = answered(application, {"method": "GET", "raw_path": path + b"/%ED%A0%80", "headers": headers}, b"")
    many = [
        answered(
            application,
            {"method": "POST", "raw_path": path + b":batchGet", "headers": headers},
            body.encode("utf-8", "surrogatepass"),
        )
        for body in batches
    ]

    assert one[0] == (404 if name == "binary" else 400)  # its keys are any bytes
    assert [status for status, _, _ in many] == [400] * 4
    for answer in (one, *many):
        check(*answer, root)


@pytest.mark.parametrize(
    ("name", "key"),
    [("texts", "x" * 4096), ("large", "é" * 2048), ("binary", b"\xff" * 4096), ("pairs", "é" * 2048)],
)
def test_a_key_of_4096_bytes_may_be_asked_for_and_none_longer(application: Application, name: str, key: Any) -> None:
    """By each way to ask, whatever characters it has."""
    path = f"/v1/caches/{name}".encode()

    def single(key: Any) -> int:
        raw_path = path + b"/" + quote(key).encode() + (b",1" if name == "pairs" else b"")
        return answered(application, {"method": "GET", "raw_path": raw_path, "headers": []}, b"")[0]

    def batch(body: bytes, form: str) -> int:
        headers = [(b"content-type", form.encode())]
        return answered(application, {"method": "POST", "raw_path": path + b":batchGet", "headers": headers}, body)[0]

    def batched(key: Any) -> int:
        text = key if isinstance(key, str) else base64.b64encode(key).decode()
        return batch(json.dumps({"keys": [[text, 1] if name == "pairs" else text]}).encode(), JSON)

    longer = key + key[:1]
    assert (batched(key), batched(longer)) == (200, 400)
    number = {"number": [1]} if name == "pairs" else {}
    assert (single(key), single(longer)) == (404, 414)
    assert (batch(stream([key], **number), ARROW), batch(stream([longer], **number), ARROW)) == (200, 400)


PIECES = [
    b"GET /v1/caches/numbers/1 HTTP/1.1\r\n", b"POST /v1/caches/numbers:batchGet HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n",
    b"HEAD /v1/caches/texts/%C3%A9 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET * HTTP/1.1\r\n",
    b"GET http://x/healthz HTTP/1.1\r\n", b"CONNECT x:80 HTTP/1.1\r\n", b"GET /\xff HTTP/1.1\r\n", b"\x16\x03\x01\x02",
    b"host: x\r\n", b"content-length: 13\r\n", b"content-length: -1\r\n", b"content-length: 0\r\n", b"x: \xff\0\r\n",
    b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n",
    b"connection: close\r\n", b"accept: " + ARROW.encode() + b"\r\n", b"\r\n", b'{"keys": [1]}', b"d\r\n", b"0\r\n\r\n",
    b"ffffffffffffffff\r\n", b"-1\r\n", b" ", b"\n",
]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), min_size=1, max_size=8).map(b"".join))
def test_raw_bytes(client: httpx.Client, root: Path, sent: bytes) -> None:
    """A real server ends the connection of whatever was sent, and answers the next one."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=20) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
        except OSError:  # it has hung up already
            received = b""

    assert b"HTTP/1.1 5" not in received
    assert b"Traceback" not in received
    assert str(root).encode() not in received
    assert client.get("/healthz").status_code == 200
