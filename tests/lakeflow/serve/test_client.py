"""`lf.Client`: what the cache itself would return, over a network that fails."""

from __future__ import annotations

import pickle
import threading
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import urllib3.util.retry

import lakeflow as lf
from lakeflow.cache import Cache
from lakeflow.serve import app, limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "c2VjcmV0IGFuZCBsb25n"
RESET, GARBAGE, BUSY, SLOW_DOWN, NO_JSON = "reset", b"garbage", 503, 429, 418


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches of every kind of key, with values that JSON lacks."""
    root = tmp_path_factory.mktemp("caches")
    Cache("numbers", root).load(pa.table({"id": range(30_000), "half": [n / 2 for n in range(30_000)]}), key="id")
    Cache("large", root).load(pa.table({"id": pa.array([2**64 - 1], pa.uint64()), "n": [1]}), key="id")
    odd = {
        "day": [date(2024, 2, 29)],
        "price": [Decimal("1.20")],
        "raw": [b"\xff\0"],
        "nested": [{"tags": ["é", None]}],
    }
    Cache("odd", root).load(pa.table({"name": ["a/b é"], **odd}), key="name")
    Cache("binary", root).load(pa.table({"key": [b"\xff/\0", b"k"], "n": [1, 2]}), key="key")
    pairs = pa.table({"user": [f"u{n}" for n in range(12_000)], "part": [b"\xff", b"k"] * 6000, "n": range(12_000)})
    Cache("pairs", root).load(pairs, key=["user", "part"])
    Cache("late", root).load(pa.table({"id": [1], "day": pa.array([2**31 - 1], pa.date32())}), key="id")
    return root


@pytest.fixture(scope="module")
def client(root: Path, serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lf.Client]:
    """A client of a running server that wants a token."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN)
    with serving(root, "--token-file", str(file)) as (_, url), lf.Client(url, token=TOKEN) as client:
        yield client


class Faulty:
    """An HTTP server that fails as it is told to, once for each word, and else has the application answer."""

    def __init__(self, root: Path, ask: Any) -> None:
        self.faults: list[Any] = []
        self.requests = 0
        self.connections: set[Any] = set()
        faulty, application = self, app(root)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                faulty.requests += 1
                faulty.connections.add(self.client_address)
                fault = faulty.faults.pop(0) if faulty.faults else None
                if fault == RESET:
                    self.close_connection = True
                    return
                if isinstance(fault, int):
                    self.answer(fault, b"sorry")
                elif isinstance(fault, bytes):
                    self.answer(200, fault)
                else:
                    if fault is not None:
                        fault()
                    kept = {name: self.headers.get(name, "") for name in ("content-type", "accept")}
                    (said,) = ask(application, (self.command, self.path, {"content": body, "headers": kept}))
                    self.answer(said.status_code, said.content)

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def running(faulty: Faulty) -> Iterator[Faulty]:
    """Serve in a thread."""
    thread = threading.Thread(target=faulty.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield faulty
    finally:
        faulty.server.shutdown()
        thread.join()
        faulty.server.server_close()


@pytest.fixture
def faulty(root: Path, ask: Any) -> Iterator[Faulty]:
    """A server that fails as it is told to."""
    with running(Faulty(root, ask)) as started:
        yield started


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What urllib3 would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("numbers", 7),
        ("numbers", -1),
        ("numbers", np.int32(7)),
        ("large", 2**64 - 1),
        ("odd", "a/b é"),
        ("odd", ""),
        ("binary", b"\xff/\0"),
        ("pairs", ("u0", b"\xff")),
        ("pairs", ["u1", b"k"]),
        ("pairs", ("u1", b"\xff")),
    ],
)
def test_one_row_as_the_cache_has_it(client: lf.Client, root: Path, name: str, key: Any) -> None:
    """Dates, decimals and bytes are themselves; the default where there is none."""
    assert Cache(name, root).get(key, "default") == client.get(name, key, "default")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("numbers", [7, -1, 7, 0]),
        ("numbers", []),
        ("numbers", range(25_000, -1, -1)),
        ("numbers", np.arange(5, dtype=np.uint8)),
        ("numbers", pa.chunked_array([[1], [2]])),
        ("odd", ["a/b é", "none"]),
        ("odd", pa.array(["a/b é"], pa.string_view())),
        ("odd", pl.Series(["none", "a/b é"], dtype=pl.Categorical)),
        ("odd", [f"{n:0100}" for n in range(12_000)]),
        ("binary", [b"k", b""]),
        ("pairs", [("u1", b"k"), ("none", b""), ("u1", b"k")]),
        ("pairs", []),
        ("pairs", [(f"u{n}", b"k") for n in range(11_999, -1, -1)]),
        ("pairs", pa.table({"more": [1.5], "part": [b"k"], "user": ["u1"]})),
        ("pairs", pa.table({"part": pa.array([b"k"], pa.binary_view()), "user": pa.array(["u1"], pa.string_view())})),
        ("pairs", pl.DataFrame({"user": ["u3", "u1"], "part": [b"k", b"?"]})),
        ("pairs", pa.array([{"user": "u1", "part": b"k"}])),
        ("pairs", pa.chunked_array([[{"user": "u1", "part": b"k"}], [{"user": "u2", "part": b"\xff"}]])),
    ],
)
def test_many_rows_as_the_cache_has_them(client: lf.Client, root: Path, name: str, keys: Any) -> None:
    """In the order asked, from as many batches as it takes, with the version beside them."""
    rows = client.get_many(name, keys)

    assert Cache(name, root).get_many(keys).equals(rows)
    assert {b"lakeflow.version": Cache(name, root).version.id.encode()} == rows.schema.metadata


@pytest.mark.parametrize(
    ("name", "keys", "error"),
    [
        ("none", [1], lf.errors.NotFoundError),
        ("../x", [1], lf.errors.InputError),
        ("numbers", ["a"], lf.errors.SchemaError),
        ("numbers", "a", lf.errors.SchemaError),
        ("numbers", [1, "a"], lf.errors.SchemaError),
        ("numbers", [1, None], lf.errors.SchemaError),
        ("numbers", [True], lf.errors.SchemaError),
        ("numbers", [1.5], lf.errors.SchemaError),
        ("numbers", [2**70], lf.errors.SchemaError),
        ("numbers", [object()], lf.errors.SchemaError),
        ("numbers", 5, lf.errors.SchemaError),
        ("numbers", np.array([[1]]), lf.errors.SchemaError),
        ("odd", ["\ud800"], lf.errors.SchemaError),
        ("pairs", [("\ud800", b"k")], lf.errors.SchemaError),
        ("odd", ["k" * 5000], lf.errors.InputError),
        ("numbers", [(1, 2)], lf.errors.SchemaError),
        ("numbers", pa.table({"id": [1]}), lf.errors.SchemaError),
        ("numbers", [{"id": 1}], lf.errors.SchemaError),
        ("none", [(1, 2)], lf.errors.NotFoundError),
        ("pairs", ["u1"], lf.errors.SchemaError),
        ("pairs", [("u1",)], lf.errors.SchemaError),
        ("pairs", [("u1", b"k"), "u1"], lf.errors.SchemaError),
        ("pairs", [("u1", None)], lf.errors.SchemaError),
        ("pairs", [("u1", "k")], lf.errors.SchemaError),
        ("pairs", [("u1", object())], lf.errors.SchemaError),
        ("pairs", [("k" * 5000, b"k")], lf.errors.InputError),
        ("pairs", pa.table({"user": ["u1"]}), lf.errors.SchemaError),
        ("pairs", pa.table({"user": ["u1"], "part": [None]}), lf.errors.SchemaError),
        ("pairs", pa.array([{"user": "u1", "part": b"k"}, None]), lf.errors.SchemaError),
        ("pairs", [{"user": "u1", "part": b"k"}], lf.errors.SchemaError),
    ],
)
def test_mistakes_are_the_caches_own_errors(client: lf.Client, name: str, keys: Any, error: type[Exception]) -> None:
    """By whom they were found, on either side, makes no difference."""
    with pytest.raises(error) as raised:
        client.get_many(name, keys)

    assert type(raised.value) is error


def test_columns_are_picked(client: lf.Client, root: Path) -> None:
    """As the cache picks them, in many requests and in one; what can't be is refused as the cache does."""
    cache, keys = Cache("numbers", root), [*range(12_000), -1]

    for columns in (["half"], ["half", "id"], []):
        assert cache.get_many(keys, columns=columns).equals(
            client.get_many("numbers", keys, columns=columns).replace_schema_metadata(None)
        )
        assert cache.get(7, columns=columns) == client.get("numbers", 7, columns=columns)
    for wrong in (["nope"], ["id", "id"], "id", [1], ["\ud800"]):
        with pytest.raises(lf.errors.InputError):
            client.get_many("numbers", [1], columns=wrong)


def test_a_value_without_a_python_form(client: lf.Client) -> None:
    """Arrow holds it, a dict can't."""
    assert client.get_many("late", [1]).num_rows == 1
    with pytest.raises(lf.errors.UnsupportedError, match="get_many"):
        client.get("late", 1)


@pytest.mark.parametrize("token", [None, "c2VjcmV0IGFuZCBsb25m"])
def test_without_the_right_token(client: lf.Client, token: str | None) -> None:
    """Access is denied, and no token is shown, in a message or by `repr`."""
    other = lf.Client(client._url, token=token)
    with pytest.raises(lf.errors.AccessDeniedError) as raised:
        other.get("numbers", 1)

    assert str(token) not in str(raised.value) + repr(other) + repr(client)


@pytest.mark.parametrize("token", ["", "c2VjcmV0IGFuZCBsb25n\n", "c2VjcmV0 IGFuZCBsb25n", "geheimnißvoll"])
def test_what_no_token_can_be(token: str) -> None:
    """Such as a line of a file with its end: refused at once, and not shown."""
    with pytest.raises(lf.errors.ConfigError, match="token") as raised:
        lf.Client("http://127.0.0.1:8080", token=token)

    assert not token.strip() or token.strip() not in str(raised.value)


def test_a_client_travels(client: lf.Client) -> None:
    """To another process, without its connections."""
    client.get("numbers", 1)
    copy = pickle.loads(pickle.dumps(client))

    assert copy._pool is None
    assert copy.get("numbers", 1) == {"id": 1, "half": 0.5}
    copy.close()


@pytest.mark.parametrize(
    "url", ["", "numbers", "ftp://x", "http://", "http://x:port", "http://a:secret@x", "http://x?y"]
)
def test_addresses_that_are_none(url: str) -> None:
    """Refused at once, and a password in one isn't shown."""
    with pytest.raises(lf.errors.ConfigError) as raised:
        lf.Client(url)

    assert "secret" not in str(raised.value)


def test_connections_are_kept(faulty: Faulty) -> None:
    """Ten requests, one after the other, take one."""
    with lf.Client(f"{faulty.url}/") as client:
        rows = [client.get("numbers", key)["id"] for key in range(10)]

    assert (list(range(10)), 10, 1) == (rows, faulty.requests, len(faulty.connections))


@pytest.mark.parametrize(
    ("faults", "sleeps"),
    [([RESET], 0), ([BUSY], 0), ([SLOW_DOWN, BUSY, RESET], 2), ([BUSY] * 5, 4)],
)
def test_what_may_pass_is_tried_again(faulty: Faulty, waits: list[float], faults: list[Any], sleeps: int) -> None:
    """Lost connections, 503 and 429; at once, then after waits that double."""
    faulty.faults = list(faults)
    with lf.Client(faulty.url) as client:
        assert client.get("numbers", 7) == {"id": 7, "half": 3.5}

    assert (len(faults) + 1, sleeps) == (faulty.requests, len(waits))
    for number, wait in enumerate(waits):
        assert 0.4 * 2**number <= wait <= 0.4 * 2**number + 0.2


@pytest.mark.parametrize(
    ("faults", "requests", "error"),
    [
        ([RESET] * 3, 3, lf.errors.StoreError),
        ([BUSY] * 3, 3, lf.errors.StoreError),
        ([SLOW_DOWN] * 3, 3, lf.errors.StoreError),
        ([GARBAGE], 1, lf.errors.StoreError),
        ([b""], 1, lf.errors.StoreError),
        ([NO_JSON], 1, lf.errors.StoreError),
    ],
)
def test_what_doesnt_pass_is_a_store_error(
    faulty: Faulty, waits: list[float], faults: list[Any], requests: int, error: type[Exception]
) -> None:
    """After as many repetitions as were allowed; what isn't a lakeflow server is said so at once."""
    faulty.faults = list(faults)
    with lf.Client(faulty.url, retries=2) as client, pytest.raises(error, match=urlsplit(faulty.url).netloc):
        client.get("numbers", 7)

    assert (requests, requests > 1) == (faulty.requests, bool(waits))


def test_nobody_listens(waits: list[float]) -> None:
    """A plain error that names the address."""
    with pytest.raises(lf.errors.StoreError, match=r"127\.0\.0\.1:9"):
        lf.Client("http://127.0.0.1:9", retries=2).get("numbers", 7)

    assert len(waits) == 1


def test_what_a_key_is_is_asked_once(tmp_path: Path, ask: Any) -> None:
    """And again where the cache has another one since; keys that don't fit are refused all the same."""
    cache = Cache("pairs", tmp_path)
    cache.load(pa.table({"a": [1], "b": ["x"]}), key=["a", "b"])
    with running(Faulty(tmp_path, ask)) as faulty, lf.Client(faulty.url) as client:
        assert [client.get("pairs", (1, "x")) for _ in range(3)] == [{"a": 1, "b": "x"}] * 3
        assert faulty.requests == 4

        cache.load(pa.table({"b": ["x"], "c": [2]}), key=["b", "c"])
        assert client.get("pairs", ("x", 2)) == {"b": "x", "c": 2}
        assert faulty.requests == 7

        with pytest.raises(lf.errors.SchemaError):
            client.get("pairs", (1, "x"))
        faulty.faults = [b"{}"]
        with pytest.raises(lf.errors.StoreError, match="something else than a cache"):
            client.get("other", (1, "x"))


def test_answers_that_are_too_large_come_in_halves(root: Path, faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until each fits; one row that doesn't is the caller's error."""
    monkeypatch.setattr(limits, "ANSWER_BYTES", 20_000)
    with lf.Client(faulty.url) as small:
        assert Cache("numbers", root).get_many(range(3000)).equals(small.get_many("numbers", range(3000)))
        assert faulty.requests > 4
        monkeypatch.setattr(limits, "ANSWER_BYTES", 10)
        with pytest.raises(lf.errors.InputError, match="MiB together"):
            small.get("numbers", 1)


def test_all_rows_are_of_one_version(tmp_path: Path, ask: Any) -> None:
    """A publish between two batches has all of them asked for again; one after each is given up."""
    cache = Cache("scores", tmp_path)
    versions = iter(range(1, 10))

    def publish() -> None:
        version = next(versions)
        cache.load(pa.table({"id": range(10_001), "version": [version] * 10_001}), key="id")

    publish()
    with running(Faulty(tmp_path, ask)) as faulty, lf.Client(faulty.url) as client:
        faulty.faults = [None, publish]
        rows = client.get_many("scores", range(10_001))
        assert (rows["version"].to_pylist(), faulty.requests) == ([2] * 10_001, 4)

        faulty.faults = [publish] * 6
        with pytest.raises(lf.errors.StoreError, match="published anew"):
            client.get_many("scores", range(10_001))
