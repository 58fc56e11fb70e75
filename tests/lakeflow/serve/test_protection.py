"""Safe as it comes: who may ask, for how much, and what a request can reach."""

from __future__ import annotations

import asyncio
import hmac
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest

import lakeflow.serve.opened as opened_module
import lakeflow.serve.request as request_module
from lakeflow.cache import Cache
from lakeflow.cli import main
from lakeflow.serve import app, server
from lakeflow.serve.bearer import find_token
from lakeflow_io.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "c2VjcmV0IGFuZCBsb25n+/=="
ROUTES = [
    "/v1/caches/scores/1",
    "/v1/caches/scores",
    "/v1/caches/none/1",
    "/metrics",
    "/nowhere",
    "/v1/caches/a:batchGet",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one cache."""
    Cache("scores", tmp_path / "caches").load(pa.table({"id": [1]}), key="id")
    return tmp_path / "caches"


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_wants_the_token(root: Path, ask: Any, path: str) -> None:
    """What is there and what isn't, whatever the method: nobody learns which without the token."""
    for method in ("GET", "POST", "DELETE"):
        (answer,) = ask(app(root, token=TOKEN), (method, path))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        [""],
        ["Bearer"],
        [TOKEN],
        [f"Basic {TOKEN}"],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        ["Bearer é"],
    ],
)
def test_anything_but_the_token_is_refused(root: Path, ask: Any, authorization: list[str]) -> None:
    """In the query it isn't looked for."""
    headers = [("authorization", each.encode()) for each in authorization]
    (answer,) = ask(app(root, token=TOKEN), ("GET", f"/v1/caches/scores/1?token={TOKEN}", {"headers": headers}))

    assert answer.status_code == 401
    assert TOKEN not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_the_token_opens_it(root: Path, ask: Any, scheme: str) -> None:
    """As does no token at the probes and the documentation."""
    row, *others = ask(
        app(root, token=TOKEN),
        ("GET", "/v1/caches/scores/1", {"headers": {"authorization": scheme + TOKEN}}),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/openapi.json"),
        ("GET", "/"),
    )

    assert [row.status_code, *(each.status_code for each in others)] == [200] * 5


def test_tokens_are_compared_in_constant_time(root: Path, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By digests of one length, however long what was sent is, and also where the scheme is wrong."""
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for given in ("Bearer x", f"Bearer {TOKEN}", f"Basic {TOKEN * 9}"):
        (answer,) = ask(app(root, token=TOKEN), ("GET", "/metrics", {"headers": {"authorization": given}}))
        assert answer.status_code == 401

    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize("token", ["", "short", "with a space in the middle", "é" * 20, "x" * 20 + "\n"])
def test_a_token_that_can_be_guessed_or_not_sent(root: Path, token: str) -> None:
    """It is refused at the start, and not shown."""
    with pytest.raises(ConfigError, match="token") as refused:
        app(root, token=token)

    assert len(token) < 16 or token not in str(refused.value)


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file before the environment, the end of its line no part of it; an empty file is a mistake."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "empty").write_text("\n")
    monkeypatch.delenv("LAKEFLOW_SERVE_TOKEN", raising=False)
    assert find_token() is None
    monkeypatch.setenv("LAKEFLOW_SERVE_TOKEN", "from the environment")

    assert (find_token(), find_token(tmp_path / "token")) == ("from the environment", TOKEN)
    for name in ("empty", "none"):
        with pytest.raises(ConfigError, match=name):
            find_token(tmp_path / name)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_network_without_a_token_is_refused(root: Path, host: str, capsys: Any, monkeypatch: Any) -> None:
    """Nobody opens caches to it by oversight."""
    monkeypatch.delenv("LAKEFLOW_SERVE_TOKEN", raising=False)
    monkeypatch.setattr(server, "_free", lambda host, _: host)
    monkeypatch.setattr("granian.server.Server", lambda *_, **__: pytest.fail("it serves"))
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--root", str(root), "--host", host])

    assert ended.value.code == 2
    assert "the server has no token" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--unprotected"], ["--token-file", "token"], ["--host", "127.0.0.2"]])
def test_a_network_that_is_meant(root: Path, given: list[str], monkeypatch: Any, tmp_path: Path, capsys: Any) -> None:
    """Told so, with a token, or on loopback, it goes on to serve; without a token it says what that means."""

    def started(*_args: object, **_options: object) -> None:
        raise StoreError("started")

    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKEFLOW_SERVE_TOKEN", raising=False)
    monkeypatch.setattr(server, "_free", lambda host, _: host)
    monkeypatch.setattr("granian.server.Server", started)
    with pytest.raises(SystemExit):
        main(["serve", "--root", str(root), "--host", "0.0.0.0", *given])

    said = capsys.readouterr().err
    assert "started" in said
    assert ("there is no token" in said) == (given == ["--unprotected"])


def test_a_server_with_a_token(root: Path, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment; a head that is too large is refused by the server itself."""
    monkeypatch.setenv("LAKEFLOW_SERVE_TOKEN", TOKEN)
    with serving(root) as (_, url):
        refused = httpx.get(f"{url}/v1/caches/scores/1")
        answered = httpx.get(f"{url}/v1/caches/scores/1", headers={"authorization": f"Bearer {TOKEN}"})
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=120) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 100_000)
            large = connection.recv(100)

    assert [refused.status_code, answered.status_code] == [401, 200]
    assert large.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/caches/scores/" + "1" * 20_000, {}, 414),
        ("/" + "%41" * 6_000, {}, 414),
        ("/v1/caches/scores/1", {"x": "x" * 33_000}, 431),
    ],
)
def test_paths_and_headers_have_limits(root: Path, ask: Any, path: str, headers: dict[str, str], status: int) -> None:
    """The application's own, whichever server it is in."""
    assert ask(app(root), ("GET", path, {"headers": headers}))[0].status_code == status


def test_a_body_that_doesnt_come(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, not for ever."""
    monkeypatch.setattr(request_module, "BODY_SECONDS", 0.01)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/caches/scores:batchGet", "headers": []}
    asyncio.run(asyncio.wait_for(app(root)(scope, receive, send), 60))

    assert sent[0]["status"] == 408


@pytest.mark.parametrize("name", ["none", "..", ".", "%2e%2e%2fcaches", "scores%2f", "scores%00", "SCORES", "%ff", "~"])
def test_no_name_but_a_listed_one_is_looked_for(root: Path, ask: Any, monkeypatch: Any, name: str) -> None:
    """What isn't among the folders of the root comes nowhere near a file."""
    monkeypatch.setattr(opened_module, "Cache", lambda *_: pytest.fail("it was looked for"))

    (answer,) = ask(app(root), ("GET", f"/v1/caches/{name}/1"))

    assert answer.status_code in (400, 404)
