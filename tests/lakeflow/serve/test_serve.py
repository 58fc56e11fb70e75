"""Caches over HTTP, from a real granian server, and the application inside another one."""

from __future__ import annotations

import base64
import json
import math
import shutil
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.cache import Cache
from lakeflow.cli import main
from lakeflow.serve import app
from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Serving = Callable[..., AbstractContextManager[tuple[subprocess.Popen[bytes], str]]]

NAMES = ["é", "a/b", "../../etc/passwd", "50%", "a?b#c", "", "x:batchGet"]
ODD = {
    "bytes": pa.array([b"\xff\0"]),
    "day": [date(2024, 2, 29)],
    "price": [Decimal("1.20")],
    "nan": [math.nan],
    "infinite": [[-math.inf, 1.5]],
    "large": pa.array([2**64 - 1], pa.uint64()),
    "nested": [{"tags": ["é", None]}],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with caches of every key type."""
    root = tmp_path_factory.mktemp("caches")
    numbers = pa.table({"id": range(20_000), "half": [n / 2 for n in range(20_000)]})
    Cache("numbers", root).load(numbers, key="id", source="kg.titles@7")
    Cache("names", root).load(pa.table({"name": NAMES, "place": range(len(NAMES))}), key="name")
    Cache("binary", root).load(pa.table({"key": [b"\xff/\0", b"k"], "n": [1, 2]}), key="key")
    pairs = pa.table({"user": ["a", "b"], "part": [b"\xff", b"k"], "n": [1, 2]})
    Cache("pairs", root).load(pairs, key=["user", "part"])
    Cache("odd", root).load(pa.table({"id": [1], **ODD}), key="id")
    return root


@pytest.fixture(scope="module")
def client(root: Path, serving: Serving) -> Iterator[httpx.Client]:
    """A client of the running server."""
    with serving(root) as (_, url), httpx.Client(base_url=url, timeout=120) as client:
        yield client


def test_a_row_is_json(client: httpx.Client) -> None:
    """With the key in it, by integer."""
    response = client.get("/v1/caches/numbers/42")

    assert (response.status_code, response.json()) == (200, {"id": 42, "half": 21.0})
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_percent_encoded(client: httpx.Client, name: str) -> None:
    """Slashes, dots, percent signs and question marks are part of a key, and never of a file name."""
    response = client.get(f"/v1/caches/names/{quote(name, safe='')}")

    assert (200, name) == (response.status_code, response.json()["name"])


def test_a_binary_key_is_any_bytes(client: httpx.Client) -> None:
    """In a path as they are, percent-encoded; in JSON as base64."""
    single = client.get("/v1/caches/binary/%FF%2F%00")
    many = client.post("/v1/caches/binary:batchGet", json={"keys": [base64.b64encode(b"k").decode(), "AA=="]})

    assert single.json() == {"key": "/y8A", "n": 1}
    assert many.json()["rows"] == [{"key": "aw==", "n": 2}, None]


def test_values_that_json_lacks(client: httpx.Client) -> None:
    """Valid JSON by the command line's rules: text for dates and decimals, base64 for bytes, names for NaN."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    row = json.loads(client.get("/v1/caches/odd/1").text, parse_constant=refuse)

    assert row == {
        "id": 1, "bytes": "/wA=", "day": "2024-02-29", "price": "1.20", "nan": "NaN", "infinite": ["-Infinity", 1.5],
        "large": 2**64 - 1, "nested": {"tags": ["é", None]},
    }  # fmt: skip


def test_the_version_is_the_etag(client: httpx.Client, root: Path) -> None:
    """A client that has the row of this version is told so, in every way the header can say it."""
    version = Cache("numbers", root).version.id
    assert f'"{version}"' == client.get("/v1/caches/numbers/1").headers["etag"]

    for known in (f'"{version}"', f'"old", W/"{version}"', "*"):
        response = client.get("/v1/caches/numbers/1", headers={"if-none-match": known})
        assert (304, b"", f'"{version}"') == (response.status_code, response.content, response.headers["etag"])

    assert client.get("/v1/caches/numbers/1", headers={"if-none-match": '"old"'}).status_code == 200
    assert client.get("/v1/caches/numbers/-1", headers={"if-none-match": "*"}).status_code == 404


def test_head_is_get_without_a_body(client: httpx.Client) -> None:
    """As HTTP demands of every server."""
    response = client.head("/v1/caches/numbers/42")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(client.get("/v1/caches/numbers/42").content))


def test_a_cache_describes_itself(client: httpx.Client, root: Path) -> None:
    """Schema, rows, version, source and versions; and a 304 for who knows all that."""
    response = client.get("/v1/caches/numbers")
    said = response.json()

    version = Cache("numbers", root).version
    assert ("id", 20_000, version.id, "kg.titles@7") == (said["key"], said["rows"], said["version"], said["source"])
    assert 0 <= said["age_seconds"] < (datetime.now(UTC) - version.created).total_seconds()
    assert said["schema"][1] == {"name": "half", "type": "double", "nullable": True}
    assert [(version.id, True)] == [(each["id"], each["current"]) for each in said["versions"]]
    known = {"if-none-match": response.headers["etag"]}
    again = client.get("/v1/caches/numbers", headers=known)
    assert (again.status_code, again.headers["etag"]) == (304, response.headers["etag"])


def test_keys_of_several_columns(client: httpx.Client) -> None:
    """Lists of their values, binary ones as base64; in a path percent-encoded, with commas between."""
    binary = base64.b64encode(b"\xff").decode()

    found = client.post("/v1/caches/pairs:batchGet", json={"keys": [["a", binary], ["b", binary]]})
    refused = [
        client.post("/v1/caches/pairs:batchGet", json={"keys": ["a"]}),
        client.post("/v1/caches/pairs:batchGet", json={"keys": [["a", "?"]]}),
        client.get("/v1/caches/pairs/a"),
        client.get("/v1/caches/pairs/a%2Ck"),
        client.get("/v1/caches/pairs/a,k,"),
        client.get("/v1/caches/pairs/%FF,k"),
    ]
    one = client.get("/v1/caches/pairs/a,%FF")
    none = client.get("/v1/caches/pairs/a,%FE")

    row = {"user": "a", "part": binary, "n": 1}
    assert found.json()["rows"] == [row, None]
    assert client.get("/v1/caches/pairs").json()["key"] == ["user", "part"]
    assert [each.status_code for each in refused] == [400] * 6
    assert (one.status_code, one.json(), none.status_code) == (200, row, 404)
    assert client.get("/v1/caches/pairs/a,%FF", headers={"if-none-match": one.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("number", [7, -1])
def test_values_of_a_key_in_a_path_are_any(tmp_path: Path, ask: Any, text: str, number: int) -> None:
    """Commas and slashes, too, where they are encoded, and none at all."""
    rows = pa.table({"text": [text, f"{text},"], "number": [number] * 2, "binary": [b",", b""], "n": [1, 2]})
    Cache("triples", tmp_path).load(rows, key=["text", "number", "binary"])
    encoded = quote(text, safe="")

    first, second, plain = ask(
        app(tmp_path),
        ("GET", f"/v1/caches/triples/{encoded},{number},%2C"),
        ("GET", f"/v1/caches/triples/{encoded}%2C,{number},"),
        ("GET", f"/v1/caches/triples/{encoded},{number},,"),
    )

    assert [first.json()["n"], second.json()["n"]] == [1, 2]
    assert plain.status_code == 400
    assert "4 values for the columns text, number, binary" in plain.json()["error"]["message"]


def test_many_keys_in_the_order_asked(client: httpx.Client, root: Path) -> None:
    """Duplicates included, null where there is no row, all of the one version that is named."""
    response = client.post("/v1/caches/numbers:batchGet", json={"keys": [7, -1, 7, 0]})

    seven, zero = {"id": 7, "half": 3.5}, {"id": 0, "half": 0.0}
    version = Cache("numbers", root).version.id
    assert response.json() == {"version": version, "rows": [seven, None, seven, zero]}


def test_columns_are_picked(client: httpx.Client) -> None:
    """In the order asked, with or without the key's, of one row and of many; no others are read."""
    arrow = "application/vnd.apache.arrow.stream"
    row = client.get("/v1/caches/odd/1?columns=large,id")
    rows = client.post("/v1/caches/numbers:batchGet?columns=half", json={"keys": [7, -1]})
    stream = client.post(
        "/v1/caches/pairs:batchGet?x=1&columns=n,part", json={"keys": [["a", "/w=="]]}, headers={"accept": arrow}
    )

    assert client.get("/v1/caches/odd/1?columns=").json() == {}
    assert list(row.json().items()) == [("large", 2**64 - 1), ("id", 1)]
    assert rows.json()["rows"] == [{"half": 3.5}, None]
    assert pa.ipc.open_stream(stream.content).read_all().to_pylist() == [{"n": 1, "part": b"\xff", "found": True}]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5),
        min_size=1,
        unique=True,
    )
)
def test_names_of_columns_are_any(tmp_path_factory: pytest.TempPathFactory, ask: Any, names: list[str]) -> None:
    """Percent-encoded, a comma too; a space may be a plus, as forms have it."""
    names = [name for name in names if name not in ("id", "found")] or ["n"]
    root = tmp_path_factory.mktemp("columns")
    Cache("c", root).load(pa.table({"id": [1], **{name: [at] for at, name in enumerate(names)}}), key="id")
    picked = names[::-2]
    plain = "columns=" + ",".join(quote(name, safe="") for name in picked)

    answers = ask(app(root), *(("GET", f"/v1/caches/c/1?{query}") for query in (plain, plain.replace("%20", "+"))))

    assert [list(answer.json()) for answer in answers] == [picked] * 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/caches/numbers/1?columns=nope", 400),
        ("GET", "/v1/caches/numbers/1?columns=,id", 400),
        ("GET", "/v1/caches/numbers/1?columns=id,id", 400),
        ("GET", "/v1/caches/numbers/1?columns=id&columns=half", 400),
        ("GET", "/v1/caches/numbers/1?columns=%FF", 400),
        ("GET", f"/v1/caches/numbers/1?{'c' * 16_385}", 414),
        ("GET", "/v1", 404),
        ("GET", "/v1/caches/", 404),
        ("GET", "/v1/caches/none/1", 404),
        ("GET", "/v1/caches/none", 404),
        ("POST", "/v1/caches/none:batchGet", 404),
        ("GET", "/v1/caches/numbers/20000", 404),
        ("GET", "/v1/caches/numbers/abc", 400),
        ("GET", "/v1/caches/numbers/1_0", 400),
        ("GET", "/v1/caches/numbers/%C3%28", 400),
        ("GET", "/v1/caches/numbers/99999999999999999999", 400),
        ("GET", "/v1/caches/names/%FF", 400),
        ("GET", "/v1/caches/..%2Fcaches/1", 400),
        ("GET", "/v1/caches/%2e%2e/1", 400),
        ("GET", "/v1/caches/a%00b/1", 400),
        ("GET", "/v1/caches/%FF/1", 400),
        ("GET", f"/v1/caches/{'n' * 300}/1", 400),
        ("GET", f"/v1/caches/names/{'k' * 4097}", 414),
        ("POST", "/v1/caches/numbers/1", 405),
        ("DELETE", "/v1/caches/numbers", 405),
        ("GET", "/v1/caches/numbers:batchGet", 405),
        ("PUT", "/healthz", 405),
    ],
)  # fmt: skip
def test_refusals_are_json(client: httpx.Client, root: Path, method: str, path: str, status: int) -> None:
    """Each with its status, and no word of the server's folders or code."""
    response = client.request(method, path)

    assert (status, status) == (response.status_code, response.json()["error"]["status"])
    assert ("allow" in response.headers) == (status == 405)
    assert str(root) not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[1]", 400),
        (b'{"keys": 1}', 400),
        (b'{"keys": ["1"]}', 400),
        (b'{"keys": [true]}', 400),
        (b'{"keys": [1.0]}', 400),
        (b'{"keys": [null]}', 400),
        (b'{"keys": [[1]]}', 400),
        (b"[" * 100_000, 400),
        (b'{"keys": [' + b"1" * 5000 + b"]}", 400),
        (json.dumps({"keys": ["\ud800"]}).encode(), 400),
        (b'{"keys": [1], "columns": ["half"]}', 400),
        (json.dumps({"keys": [1] * 10_001}).encode(), 413),
        (b" " * ((1 << 20) + 1), 413),
    ],
    ids=range(15),
)
def test_bodies_that_are_refused(client: httpx.Client, body: bytes, status: int) -> None:
    """What isn't a list of keys, and what is past a limit."""
    response = client.post("/v1/caches/numbers:batchGet", content=body)

    assert (status, status) == (response.status_code, response.json()["error"]["status"])


def test_a_body_without_a_length_is_bounded_too(client: httpx.Client) -> None:
    """It is counted while it comes."""
    response = client.post("/v1/caches/numbers:batchGet", content=iter([b" " * 65_536] * 17))

    assert response.status_code == 413


def test_the_largest_batch_is_answered(client: httpx.Client) -> None:
    """Ten thousand keys are within the limits."""
    response = client.post("/v1/caches/numbers:batchGet", json={"keys": list(range(10_000))})

    assert response.json()["rows"][-1]["id"] == 9_999


def test_it_can_be_mounted(root: Path, ask: Any) -> None:
    """Below any path of an outer application, whose part of the path is no part of the route."""
    row, health, slash = ask(
        app(root),
        ("GET", "/inner/v1/caches/numbers/42"),
        ("GET", "/inner/healthz"),
        ("GET", "/inner/v1/caches/names/a%2Fb"),
        root_path="/inner",
    )

    assert (row.json()["id"], health.status_code, slash.json()["name"]) == (42, 200, "a/b")


def test_a_publish_and_a_removal_are_seen(tmp_path: Path, serving: Serving) -> None:
    """The next request reads what is current then; a cache whose folder somebody removes is a 404 a moment later."""
    cache = Cache("scores", tmp_path)
    with serving(tmp_path) as (_, url):
        assert httpx.get(f"{url}/v1/caches/scores/1").status_code == 404
        for score in (1, 2):
            version = cache.load(pa.table({"id": [1], "score": [score]}), key="id")
            response = httpx.get(f"{url}/v1/caches/scores/1")
            assert ({"id": 1, "score": score}, f'"{version.id}"') == (response.json(), response.headers["etag"])
        shutil.rmtree(tmp_path / "scores")
        latest = time.monotonic() + 120
        while (gone := httpx.get(f"{url}/v1/caches/scores/1")).status_code == 200:
            assert time.monotonic() < latest
        assert gone.status_code == 404


def test_a_damaged_cache_is_the_servers_failure(tmp_path: Path, ask: Any) -> None:
    """Its status is a 5xx, and the caller isn't told of files."""
    cache = Cache("scores", tmp_path)
    version = cache.load(pa.table({"id": range(2000), "n": range(7 * 10**9, 7 * 10**9 + 2000)}), key="id").id
    folder = tmp_path / "scores" / "versions" / version
    (gone,) = ask(app(tmp_path), ("GET", "/v1/caches/scores/1"))
    assert gone.status_code == 200
    payload = next(folder.glob("*.arrow"))
    whole = payload.read_bytes()
    payload.write_bytes(whole.replace((7 * 10**9 + 1).to_bytes(8, "little"), bytes(8)))
    (flipped,) = ask(app(tmp_path), ("GET", "/v1/caches/scores/1"))
    payload.write_bytes(b"short")

    (damaged,) = ask(app(tmp_path), ("GET", "/v1/caches/scores/1"))
    shutil.rmtree(folder)
    (gone,) = ask(app(tmp_path), ("GET", "/v1/caches/scores/1"))

    for each in (flipped, damaged):
        assert (each.status_code, each.json()["error"]["type"]) == (500, "CorruptFileError")
    assert (gone.status_code, gone.json()["error"]["type"]) == (503, "ObjectNotFoundError")
    assert str(tmp_path) not in damaged.text + gone.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_request_under_way(root: Path, serving: Serving, number: signal.Signals) -> None:
    """Its answer still comes, new connections are refused, and the program ends in order."""
    body = b'{"keys": [7]}'
    head = f"POST /v1/caches/numbers:batchGet HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with serving(root) as (process, url):
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=120) as half_sent:
            half_sent.sendall(head.encode() + body[:5])
            assert httpx.get(f"{url}/healthz").status_code == 200  # it has read what came before this
            process.send_signal(number)
            wait_refused(address)
            half_sent.sendall(body[5:])
            answer = half_sent.makefile("rb").read()
        code = process.wait(timeout=120)

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'"half":3.5}]}')
    assert code == 0


def test_after_sigterm_requests_are_answered_for_a_while(root: Path, serving: Serving) -> None:
    """It isn't ready any more, in any process, and answers as before; a second signal ends that."""
    with serving(root, "--drain-seconds", "300", "--workers", "2") as (process, url):
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 120
        while httpx.get(f"{url}/readyz").status_code == 200:
            assert time.monotonic() < deadline

        assert {503} == {httpx.get(f"{url}/readyz").status_code for _ in range(8)}
        assert httpx.get(f"{url}/v1/caches/numbers/7").json()["half"] == 3.5
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0


def test_nobody_goes_on_serving_when_the_program_is_killed(root: Path, serving: Serving) -> None:
    """The worker process ends with it, and frees the port."""
    with serving(root) as (process, url):
        process.kill()

        wait_refused(("127.0.0.1", int(url.rpartition(":")[2])))


def wait_refused(address: tuple[str, int]) -> None:
    """Wait until nobody listens any more."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            return
        time.sleep(0.01)
    pytest.fail("it still listens")


def test_many_clients_at_once(client: httpx.Client) -> None:
    """Each gets its own row."""
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda key: client.get(f"/v1/caches/numbers/{key}").json()["id"], range(200)))

    assert list(range(200)) == rows


def test_a_port_that_is_taken(root: Path, capsys: Any) -> None:
    """A plain error, also where the other listener would share it."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(SystemExit) as ended:
            main(["serve", "--root", str(root), "--port", str(taken.getsockname()[1])])

    assert ended.value.code == 1
    assert "Can't listen on 127.0.0.1" in capsys.readouterr().err


def test_without_granian_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """And a root at which caches can't lie is refused at once."""
    monkeypatch.setitem(sys.modules, "granian.constants", None)

    with pytest.raises(SystemExit):
        main(["serve", "--root", str(root)])
    with pytest.raises(ConfigError):
        app("https://host/caches")

    assert "lakeflow[serve]" in capsys.readouterr().err
