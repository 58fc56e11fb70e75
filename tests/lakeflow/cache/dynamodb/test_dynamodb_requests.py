"""What a look-up asks of the table, and what it does where the table answers in parts, late or not at all."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import lakeflow.cache.dynamodb.failures as failures_module
import lakeflow.cache.dynamodb.table as table_module
from lakeflow.cache.dynamodb import DynamoDBCache, push
from lakeflow_io.errors import AccessDeniedError, ConfigError, CorruptFileError, StoreError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faulty_dynamodb import Request

    from lakeflow.cache import Cache


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures_module, "_BASE_SECONDS", 0.0001)


def asked(places: Any, act: Callable[[], Any]) -> list[str]:
    """The operations that something took."""
    before = len(places.faulty.requests)
    act()
    return [request.operation for request in places.faulty.requests[before:]]


def test_round_trips(local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any) -> None:
    """One for a row; one more to know that there is none; as many again, and one, after a push."""
    local_and_pushed(cache, places.url, rows_of("a", 250))
    reader = DynamoDBCache("scores", places.faulty_url)

    first = asked(places, lambda: reader.get(1))
    again = asked(places, lambda: reader.get(2))
    missing = asked(places, lambda: reader.get(1000))
    many = asked(places, lambda: reader.get_many([*range(250), *range(250)]))
    full, over = (asked(places, lambda n=n: reader.get_many(range(n))) for n in (99, 100))
    local_and_pushed(cache, places.url, rows_of("b"))
    after = asked(places, lambda: reader.get(1))
    local_and_pushed(cache, places.url, rows_of("c", 250))
    many_after = asked(places, lambda: reader.get_many(range(250)))

    assert first == ["GetItem", "GetItem", "BatchGetItem"]
    assert again == ["BatchGetItem"]
    assert missing == ["BatchGetItem", "GetItem"]
    assert many == ["BatchGetItem"] * 3
    assert (full, over) == (["BatchGetItem"], ["BatchGetItem"] * 2)  # the pointer is the hundredth, and the next one
    assert after == ["BatchGetItem", "GetItem", "BatchGetItem"]
    assert many_after == [*["BatchGetItem"] * 3, "GetItem", *["BatchGetItem"] * 3]


def test_a_pointer_may_be_kept(local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any) -> None:
    """With `max_age`, rows are asked for alone; a push is seen where the time is over, or where a row is missing."""
    local_and_pushed(cache, places.url, rows_of("a"))
    reader = DynamoDBCache("scores", f"{places.faulty_url}&max_age=3600")
    reader.get(1)
    local_and_pushed(cache, places.url, rows_of("b", 61))

    assert reader.get(1)["tag"] == "a"
    assert len(places.faulty.requests[-1].body["RequestItems"][places.table]["Keys"]) == 1
    assert reader.get(60)["tag"] == "b"
    assert reader.get(1)["tag"] == "b"
    reader._store._max_age_seconds = 0.0
    local_and_pushed(cache, places.url, rows_of("c"))
    assert reader.get(1)["tag"] == "c"


def test_what_a_table_leaves_out_is_asked_for_again(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any
) -> None:
    """A part of a batch at a time, and sometimes nothing."""
    local_and_pushed(cache, places.url, rows_of("a", 90))
    reader = DynamoDBCache("scores", places.faulty_url)

    def act(request: Request) -> Any:
        if request.operation != "BatchGetItem":
            return None
        keys = request.body["RequestItems"][places.table]["Keys"]
        return ("leave", len(keys) if request.number % 3 == 0 else max(len(keys) - 20, 0))

    places.faulty.act = act

    assert cache.get_many(range(90)).equals(reader.get_many(range(90)))
    assert places.faulty.count("BatchGetItem") > 5


@pytest.mark.parametrize("refusal", ["ProvisionedThroughputExceededException", ("leave", 2)], ids=str)
def test_a_table_without_capacity_is_named(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any, refusal: Any
) -> None:
    """After some attempts."""
    local_and_pushed(cache, places.url, rows_of("a"))
    reader = DynamoDBCache("scores", places.faulty_url)
    places.faulty.act = lambda request: refusal if request.operation == "BatchGetItem" else None

    with pytest.raises(ThrottledError, match=places.table):
        reader.get(1)

    assert places.faulty.count("BatchGetItem") == table_module._ATTEMPTS


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
def test_denied_access_is_not_repeated(rows_of: Any, cache: Cache, places: Any, code: str) -> None:
    """And is what it is called."""
    cache.load(rows_of("a"), key="id")
    places.faulty.act = lambda _: code

    for act in (lambda: push(cache, places.faulty_url), lambda: DynamoDBCache("scores", places.faulty_url).get(1)):
        with pytest.raises(AccessDeniedError, match="denies access"):
            act()

    assert len(places.faulty.requests) == 2


def test_a_table_out_of_reach(rows_of: Any, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store's error with the table's name, after some attempts, for readers and pushers."""
    monkeypatch.setattr(table_module, "_ATTEMPTS", 2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"dynamodb://caches?endpoint=http://127.0.0.1:{probe.getsockname()[1]}"
        cache.load(rows_of("a"), key="id")

        for act in (lambda: push(cache, url), lambda: DynamoDBCache("scores", url).get(1)):
            with pytest.raises(StoreError, match="Can't reach dynamodb://caches"):
                act()


def test_without_credentials_access_is_denied(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """With a hint where boto3 looks for them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(AccessDeniedError, match="No credentials"):
        DynamoDBCache("scores", "dynamodb://caches?region=eu-west-1").get(1)


def test_without_a_region_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """AWS has a table of that name in any of them; a server of one's own doesn't care."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(ConfigError, match="region"):
        DynamoDBCache("scores", "dynamodb://caches")
    assert DynamoDBCache("scores", "dynamodb://caches?endpoint=http://127.0.0.1:1").name == "scores"


def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the environment asks for."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(ConfigError, match="nobody"):
        DynamoDBCache("scores", "dynamodb://caches")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "caches",
        "http://caches",
        "dynamodb://",
        "dynamodb://ab",
        "dynamodb://caches/x",
        "dynamodb://caches#x",
        "dynamodb://c a",
        "dynamodb://caches:80",
        "dynamodb://key:secret@caches",
        "dynamodb://caches?region",
        "dynamodb://caches?region=a&region=b",
        None,
    ],
)
def test_a_wrong_url_is_named(wrong: Any) -> None:
    """Without the password that may be in it."""
    with pytest.raises(ConfigError, match="isn't the URL") as caught:
        DynamoDBCache("scores", wrong)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("regoin=a", "'regoin'"),
        ("endpoint=localhost:8000", "endpoint="),
        ("endpoint=http://me:secret@host", "endpoint="),
        ("endpoint=http://host:x", "endpoint="),
        ("max_age=soon", "max_age='soon'"),
        ("max_age=-1", "max_age='-1'"),
        ("max_age=inf", "max_age='inf'"),
        ("region=a b", "region"),
    ],
)
def test_a_wrong_option_is_named(option: str, said: str) -> None:
    """Without the password that may be in it."""
    with pytest.raises(ConfigError, match=said) as caught:
        DynamoDBCache("scores", f"dynamodb://caches?{option}")

    assert "secret" not in str(caught.value)


def test_what_others_wrote_is_said_to_be_broken(local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any) -> None:
    """A row, an upload's record, one that is gone, a pointer: each is named, and what to do."""
    local_and_pushed(cache, places.url, rows_of("a"))
    ((record, *_),) = [[key for key in places.items() if key[1].startswith(b"upload/")]]
    row = next(key for key in places.items() if key[1] == b":7")
    key, upload = ({"pk": {"S": pk}, "sk": {"B": sk}} for pk, sk in (row, record))

    places.raw.put_item(TableName=places.table, Item={**key, "v": {"S": "[1, 2]"}})
    with pytest.raises(CorruptFileError, match="isn't one that lakeflow wrote"):
        DynamoDBCache("scores", places.url).get(7)
    places.raw.put_item(TableName=places.table, Item={**upload, "facts": {"S": "{}"}})
    with pytest.raises(CorruptFileError, match="record"):
        DynamoDBCache("scores", places.url).get(7)
    with pytest.raises(CorruptFileError, match="record"):
        push(cache, places.url)
    places.raw.delete_item(TableName=places.table, Key=upload)
    with pytest.raises(CorruptFileError, match="isn't there"):
        DynamoDBCache("scores", places.url).get(7)
    assert push(cache, places.url).written
    places.set_pointer("SET current_upload = :odd", odd={"S": "odd"})
    for act in (lambda: push(cache, places.url), lambda: DynamoDBCache("scores", places.url).get(7)):
        with pytest.raises(CorruptFileError, match="'odd'"):
            act()


def test_a_process_that_is_forked_has_a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would share sockets with its parent's."""
    made: list[Any] = []
    client = boto3.Session.client
    monkeypatch.setattr(boto3.Session, "client", lambda *a, **k: (made.append(a), client(*a, **k))[1])
    table = DynamoDBCache("scores", "dynamodb://caches?endpoint=http://127.0.0.1:1")._store._table
    first = table.client()
    assert table.client() is first

    monkeypatch.setattr(table_module.os, "getpid", lambda: -1)

    assert table.client() is not first
    assert len(made) == 2


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere."""
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(ConfigError, match=r"lakeflow\[dynamodb\]"):
        DynamoDBCache("scores", "dynamodb://caches")
