"""Batches in Arrow's form: keys that anyone may have sent, rows as the cache holds them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.cache import Cache
from lakeflow.cache.keys.column import key_of
from lakeflow.serve import app, limits
from lakeflow.serve.answer import RequestError
from lakeflow.serve.arrow_keys import keys_of_stream
from lakeflow.serve.media import Form, wanted_form
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

ARROW = Form.ARROW.value
PAIR = {"text": ["é", "b"], "n": [1, -2]}
TEXTS, PAIRS = (key_of(pa.table(PAIR).schema, names) for names in ("text", ("text", "n")))
VALID = [[1, -2, 3], ["é", "", "k" * 70], [b"\xff\0", b""]]


def stream(*columns: Any, batches: int = 1, **options: Any) -> bytes:
    """An IPC stream of a table, over and over."""
    table = pa.table(list(columns), names=[str(number) for number in range(len(columns))])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for _ in range(batches):
            writer.write_table(table)
    return sink.getvalue().to_pybytes()


def named(*batches: dict[str, Any]) -> bytes:
    """An IPC stream of batches with columns of these names."""
    tables = [pa.table(batch) for batch in batches]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches of each kind of key; one with rows whose size isn't known beforehand."""
    root = tmp_path_factory.mktemp("caches")
    Cache("numbers", root).load(pa.table({"id": pa.array(range(500), pa.int32()), "n": range(500)}), key="id")
    texts = pa.table({"name": [f"n{n}" for n in range(500)], "tags": [[n, None] for n in range(500)]})
    Cache("texts", root).load(texts, key="name")
    Cache("binary", root).load(
        pa.table({"key": [b"\xff\0", b"k"], "day": pa.array([2**31 - 1] * 2, pa.date32())}), key="key"
    )
    pairs = pa.table({"text": [f"n{n}" for n in range(500)], "n": pa.array(range(500), pa.int32()), "x": range(500)})
    Cache("pairs", root).load(pairs, key=["text", "n"])
    return root


@pytest.fixture(scope="module")
def post(root: Path, ask: Any) -> Callable[..., httpx.Response]:
    """Asks a cache for many keys."""

    def post(name: str, body: bytes, **headers: str) -> httpx.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return ask(app(root), ("POST", f"/v1/caches/{name}:batchGet", {"content": body, "headers": named}))[0]

    return post


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("numbers", pa.array([7, 1000, 7, 0], pa.int32())),
        ("numbers", pa.array([7, 200], pa.uint8())),
        ("numbers", pa.array([], pa.string())),
        ("texts", pa.array([f"n{n}" for n in range(400)])),
        ("texts", pa.array(["n1", ""], pa.large_string())),
        ("binary", pa.array([b"k", b"none"])),
        ("binary", pa.array([b"k"], pa.large_binary())),
    ],
)
def test_keys_and_rows_in_arrow(root: Path, post: Any, name: str, keys: pa.Array) -> None:
    """What `Cache.get_many` returns, types and all, and the version beside it."""
    response = post(name, stream(keys), content_type=ARROW, accept=ARROW)

    rows = pa.ipc.open_stream(response.content).read_all()
    cache = Cache(name, root)
    assert (response.status_code, response.headers["content-type"]) == (200, ARROW)
    assert cache.get_many(keys).equals(rows)
    assert {b"lakeflow.version": cache.version.id.encode()} == rows.schema.metadata


@pytest.mark.parametrize(
    "batches",
    [
        [{"text": ["n1", "n2", "n1"], "n": [1, 1, 1]}],
        [{"n": pa.array([3], pa.uint8()), "text": pa.array(["n3"], pa.large_string())}],
        [{"n": [n], "text": [f"n{n}"]} for n in range(3)],
        [{"n": list(range(499, -1, -1)), "text": [f"n{n}" for n in range(499, -1, -1)]}],
        [{"text": pa.array([], pa.string()), "n": pa.array([], pa.int64())}],
    ],
    ids=["some", "other types and order", "batches", "all", "none"],
)
def test_keys_of_several_columns_go_by_their_names(root: Path, post: Any, batches: list[dict[str, Any]]) -> None:
    """In any order of the columns, and any types of keys that fit: what `Cache.get_many` returns of them as a table."""
    response = post("pairs", named(*batches), content_type=ARROW, accept=ARROW)

    rows = pa.ipc.open_stream(response.content).read_all()
    assert response.status_code == 200
    assert Cache("pairs", root).get_many(pa.concat_tables(map(pa.table, batches))).equals(rows)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (stream(["n1"]), 400, "'0'; the key is text, n"),
        (stream(["n1"], [1]), 400, "'0', '1'; the key is text, n"),
        (stream(), 400, "no column"),
        (named({"text": ["n1"]}), 400, "'text'; the key"),
        (named({"text": ["n1"], "n": [1], "x": [1]}), 400, "3 columns"),
        (stream(*[[1]] * 2000), 400, "2000 columns"),
        (named({"k" * 9000: ["n1"], "n": [1]}), 400, "kkk; the key is text, n"),
        (named({"text": ["n1"], "n": [1.5]}), 400, "double"),
        (named({"text": ["n1"], "n": [{"n": 1}]}), 400, "struct"),
        (named({"text": ["n1"], "n": [None]}), 400, "null"),
        (named({"text": ["n1"], "n": pa.array([None], pa.int32())}), 400, "null"),
        (named({"text": [1], "n": [1]}), 400, "column 'text'"),
        (named({"text": ["n1"], "n": [2**40]}), 400, "column 'n'"),
        (named({"text": ["k" * 4097], "n": [1]}), 400, "4096 bytes"),
        (named({"text": ["n1"] * 10_001, "n": [1] * 10_001}), 413, "10000 keys"),
        (named({"text": ["n1"], "n": [1]})[:-40], 400, "can't be read"),
    ],
    ids=range(16),
)
def test_bodies_that_are_no_keys_of_several_columns(post: Any, body: bytes, status: int, said: str) -> None:
    """Nothing that isn't a key's column is decoded; what is wrong is said, at no great length."""
    response = post("pairs", body, content_type=ARROW)

    message = response.json()["error"]["message"]
    assert response.status_code == status
    assert said in message
    assert len(message) < 400


def test_either_side_may_be_json(post: Any) -> None:
    """The form of the keys and that of the rows are independent."""
    in_json = json.dumps({"keys": [3, -3]}).encode()

    rows = pa.ipc.open_stream(post("numbers", in_json, accept=ARROW).content).read_all()
    plain = post("numbers", stream([3, -3]), content_type=f"{ARROW}; charset=utf-8").json()

    assert plain["rows"] == [{"id": 3, "n": 3}, None]
    assert list(zip(rows["id"].to_pylist(), rows["found"].to_pylist(), strict=True)) == [(3, True), (-3, False)]


def test_a_value_without_a_form_in_json(post: Any) -> None:
    """A date past the year 9999 is refused in JSON, with a word of the form that holds it."""
    in_json = json.dumps({"keys": ["aw=="]}).encode()

    refused, answered = post("binary", in_json), post("binary", in_json, accept=ARROW)

    assert (refused.status_code, answered.status_code) == (501, 200)
    assert ARROW in refused.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.JSON),
        ("*/*", Form.JSON),
        ("text/html", Form.JSON),
        (ARROW, Form.ARROW),
        (f"{ARROW.upper()} ; q=0.5", Form.ARROW),
        (f"application/json, {ARROW}", Form.ARROW),
        (f"application/json, {ARROW};q=0.9", Form.JSON),
        (f"application/json;q=0.1, {ARROW};q=0.9", Form.ARROW),
        (f"{ARROW};q=0", Form.JSON),
        (f"{ARROW};q=nan", Form.JSON),
        (f"{ARROW};q=", Form.JSON),
        (";;,,=", Form.JSON),
    ],
)
def test_the_form_that_is_accepted(accept: str | None, form: Form) -> None:
    """Arrow for who names it and doesn't prefer JSON; JSON for all others."""
    assert form is wanted_form(accept)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b'{"keys": [1]}', 400),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f", 400),
        (stream([1, 2])[:-40], 400),
        (stream([1], [2]), 400),
        (stream(), 400),
        (stream([1, None]), 400),
        (stream([1.5]), 400),
        (stream([True]), 400),
        (stream(["a"]), 400),
        (stream([2**40]), 400),
        (stream(pa.array([None])), 400),
        (stream(pa.array(["a"]).dictionary_encode()), 400),
        (stream(pa.array(["a"], pa.string_view())), 400),
        (stream([1] * 100, compression="zstd"), 400),
        (stream([1] * 100, compression="lz4"), 400),
        (stream([1], metadata_version=pa.ipc.MetadataVersion.V4), 400),
        (stream(range(10_001)), 413),
        (stream(range(5_001), batches=2), 413),
        (stream([1] * 200_000), 413),
    ],
    ids=range(20),
)
def test_bodies_that_are_refused(post: Any, body: bytes, status: int) -> None:
    """What is no plain column of keys, and what costs more to decode than it weighs."""
    response = post("numbers", body, content_type=ARROW)

    assert (status, status) == (response.status_code, response.json()["error"]["status"])


@pytest.mark.parametrize(
    "keys",
    [
        pa.array(["k" * 4097]),
        pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], "i4")), pa.py_buffer(b"\xff")]),
        pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.array([0, 3, 1], "i4")), pa.py_buffer(b"abc")]),
    ],
    ids=["long", "no UTF-8", "offsets that fall"],
)
def test_texts_that_are_none(keys: pa.Array) -> None:
    """What Arrow takes without looking is looked at, and no key is longer than a key may be."""
    with pytest.raises(InputError):
        keys_of_stream(stream(keys), TEXTS)


def test_another_message_in_the_place_of_the_schema(post: Any) -> None:
    """It isn't decoded as a schema, which Arrow would do, and crash."""
    body = stream([1])
    from_second_message = body[8 + int.from_bytes(body[4:8], "little") :]

    response = post("numbers", from_second_message, content_type=ARROW)

    assert response.status_code == 400
    assert "begin with a schema" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [{"content_type": "text/csv"}, {"content_type": "nonsense"}, {"content_encoding": "gzip"}],
)
def test_other_forms_of_a_body(post: Any, headers: dict[str, str]) -> None:
    """415, before anything of it is decoded."""
    assert post("numbers", b'{"keys": [1]}', **headers).status_code == 415


@given(
    st.sampled_from([*((stream(pa.array(each)), TEXTS) for each in VALID), (named(PAIR, PAIR), PAIRS)]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 2000),
)
def test_a_damaged_stream_is_refused_or_is_keys(sent: Any, changes: list[tuple[int, int]], end: int) -> None:
    """Whatever bytes are changed or cut off: plain columns within the limits, or one of our errors."""
    body, key = sent
    damaged = bytearray(body)
    for place, byte in changes:
        damaged[place % len(body)] = byte
    damaged = damaged[: max(end % (2 * len(body)), 8)]

    try:
        keys = keys_of_stream(bytes(damaged), key)
    except (InputError, RequestError):
        return
    keys.validate(full=True)
    assert len(keys) <= limits.BATCH_KEYS
    assert keys.null_count == 0


@pytest.mark.parametrize("accept", [ARROW, "application/json"])
def test_an_answer_has_a_limit(post: Any, monkeypatch: pytest.MonkeyPatch, accept: str) -> None:
    """Few keys of large rows are refused before they fill the memory, in either form."""
    monkeypatch.setattr(limits, "ANSWER_BYTES", 2000)
    few, many = (json.dumps({"keys": [f"n{n}" for n in range(count)]}).encode() for count in (3, 300))

    assert (post("texts", few, accept=accept).status_code, post("texts", many, accept=accept).status_code) == (200, 413)
