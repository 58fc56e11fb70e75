"""A cache pushed to a DynamoDB table is read as the local one is, one whole version per request."""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from command_line import lakeflow
from exact_columns import EXACT_COLUMNS

import lakeflow as lf
import lakeflow.cache.dynamodb.names as names_module
from lakeflow.cache import Cache
from lakeflow.cache.dynamodb import DynamoDBCache, create_table, push
from lakeflow.cli import main
from lakeflow_io.errors import ConfigError, NotFoundError, SchemaError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_session")


def test_every_column_type_reads_as_it_does_locally(local_and_pushed: Any, cache: Cache, both: Any) -> None:
    """`get` and `get_many` return what the local cache returns, types and nulls included."""
    rows = {f"c{n}": values.take(pa.array([0, 1, 2 % len(values)])) for n, values in enumerate(EXACT_COLUMNS)}
    reader = local_and_pushed(cache, both.url, pa.table({"id": [1, -2, 3], **rows}))

    assert [cache.get(key) for key in (1, -2, 3, 99)] == [reader.get(key) for key in (1, -2, 3, 99)]
    assert list(cache.get(1)) == list(reader.get(1))
    assert cache.get_many([-2, 9, 1, 3, -2]).equals(reader.get_many([-2, 9, 1, 3, -2]))


def test_floats_that_dynamodb_has_no_number_for(local_and_pushed: Any, cache: Cache, both: Any) -> None:
    """NaN, negative zero and what lies beyond 1e125 stay what they are."""
    values = [math.nan, -0.0, 1.7976931348623157e308, 5e-324, 0.1 + 0.2]
    reader = local_and_pushed(cache, both.url, pa.table({"id": range(5), "x": values}))

    assert list(map(repr, values)) == [repr(reader.get(key)["x"]) for key in range(5)]


@pytest.mark.parametrize(
    "keys",
    [[7, 0, -1, 2**63 - 1], ["é", "a/b.c\n\0", "", "k" * 1023], [b"\xff\0", b"", b":"]],
    ids=["int", "str", "bytes"],
)
def test_keys_of_each_kind(local_and_pushed: Any, cache: Cache, both: Any, keys: list[Any]) -> None:
    """Integers, text and bytes are found as they are, the empty one and a row that is only its key included."""
    reader = local_and_pushed(cache, both.url, pa.table({"id": keys}))

    assert [{"id": key} for key in keys] == [reader.get(key) for key in keys]
    assert keys == reader.get_many(keys)["id"].to_pylist()


def test_composite_keys_read_as_they_do_locally(local_and_pushed: Any, cache: Cache, both: Any) -> None:
    """Tuples are told apart wherever one part ends and the next begins."""
    keys = [("ab", "c", -1), ("a", "bc", -1), ("", "abc", 7)]
    users, items, numbers = zip(*keys, strict=True)
    rows = pa.table({"n": [1, 2, 3], "user": users, "item": items, "number": numbers})
    reader = local_and_pushed(cache, both.url, rows, ["user", "item", "number"])

    assert [cache.get(key) for key in keys] == [reader.get(key) for key in keys]
    assert reader.get(("abc", "", -1)) is None
    assert cache.get_many([*keys, ("x", "y", 1)]).equals(reader.get_many([*keys, ("x", "y", 1)]))


def test_many_keys_keep_order_and_duplicates(local_and_pushed: Any, rows_of: Any, cache: Cache, both: Any) -> None:
    """Across batches of 100, of which each key is in one."""
    reader = local_and_pushed(cache, both.url, rows_of("a", 230))
    asked = [*range(229, -5, -1), 7, 7, 500, *range(100)]

    assert cache.get_many(asked).equals(reader.get_many(asked))
    assert reader.get_many([]).num_rows == 0


def test_a_miss_is_a_default_and_a_wrong_key_is_an_error(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any
) -> None:
    """As in the local cache."""
    reader = local_and_pushed(cache, places.url, rows_of("a"))

    assert (reader.get(1000), reader.get(1000, "none")) == (None, "none")
    with pytest.raises(SchemaError, match="expects int"):
        reader.get("7")


def test_columns_and_kinds_are_those_of_the_local_cache(local_and_pushed: Any, cache: Cache, places: Any) -> None:
    """A projection, in any order, as a table, a frame or a dict."""
    reader = local_and_pushed(cache, places.url, pa.table({"id": [1, 2], "a": [10, 20], "b": ["x", "y"]}))
    asked = [2, 9, 1, 2]

    assert cache.get(2, columns=["b", "id"]) == reader.get(2, columns=["b", "id"])
    for columns in (None, ["b", "id"], ["a"], []):
        assert cache.get_many(asked, columns=columns).equals(reader.get_many(asked, columns=columns))
        assert cache.get_many(asked, columns=columns, to="dict") == reader.get_many(asked, columns=columns, to="dict")
    assert cache.get_many(asked, to="polars").equals(reader.get_many(asked, to="polars"))


def test_the_items_are_as_documented(local_and_pushed: Any, rows_of: Any, cache: Cache, both: Any) -> None:
    """The pointer without a lease, the upload's record, and rows in buckets; a row's value is a JSON list."""
    local_and_pushed(cache, both.url, rows_of("é", 1))

    (pointer, record, row) = both.items()
    item = both.raw.get_item(TableName=both.table, Key={"pk": {"S": row[0]}, "sk": {"B": row[1]}})["Item"]
    current = both.raw.get_item(TableName=both.table, Key={"pk": {"S": "scores"}, "sk": {"B": b"CURRENT"}})["Item"]
    upload = current["current_upload"]["S"]

    assert upload.startswith(f"{cache.version.id}.1.")
    assert {"pk", "sk", "current_upload"} == set(current)
    assert pointer == ("scores", b"CURRENT")
    assert record == ("scores", f"upload/{upload}".encode())
    assert row == (f"scores/{upload}/0", b":0")
    assert item["v"] == {"S": '["é"]'}


def test_the_version_is_that_of_the_local_cache(rows_of: Any, cache: Cache, places: Any) -> None:
    """With its rows, source and time, also in a reader that was pickled."""
    cache.load(rows_of("a"), key="id", source="kg.titles@7", run_id="r1")
    push(cache, places.url)

    reader = pickle.loads(pickle.dumps(DynamoDBCache("scores", places.url)))

    assert cache.version == reader.version
    assert reader.get(1) == {"id": 1, "tag": "a"}
    assert places.table in repr(reader)


def test_a_second_push_writes_no_row(rows_of: Any, cache: Cache, places: Any) -> None:
    """The pointer says that the version is there."""
    cache.load(rows_of("a"), key="id")
    push(cache, places.faulty_url)
    written = places.faulty.count("BatchWriteItem")

    report = push(cache, places.faulty_url)

    assert (report.written, report.rows) == (False, 0)
    assert written == places.faulty.count("BatchWriteItem")


def test_two_versions_stay(
    rows_of: Any, cache: Cache, both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third push removes the first one's rows, from all its buckets, and nobody else's in the table."""
    monkeypatch.setattr(names_module, "_BUCKET_ROWS", 20)
    other = Cache("scores2", tmp_path)
    other.load(rows_of("other"), key="id")
    push(other, both.url)
    ids = []
    for tag in "abc":
        ids.append(cache.load(rows_of(tag, 110), key="id").id)
        report = push(cache, both.url)

    assert report.removed == 110
    assert len({pk for pk, _ in both.items() if pk.startswith("scores/")}) == 2 * 5
    assert [both.rows(each) for each in ids] == [0, 110, 110]
    assert len(both.items()) == 2 * 110 + 3 + 60 + 2
    assert DynamoDBCache("scores2", both.url).get(3)["tag"] == "other"


def test_a_rollback_writes_no_row(local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any) -> None:
    """The earlier version is there still; another pointer makes it current."""
    local_and_pushed(cache, places.url, rows_of("a"))
    reader = local_and_pushed(cache, places.url, rows_of("b"))
    assert reader.get(1)["tag"] == "b"
    cache.rollback()

    report = push(cache, places.faulty_url)

    assert (report.written, report.rows, places.faulty.count("BatchWriteItem")) == (True, 0, 0)
    assert reader.get(1)["tag"] == "a"


def test_the_version_of_a_view_is_pushed(rows_of: Any, cache: Cache, places: Any) -> None:
    """Though another one is current in the folder."""
    older = cache.load(rows_of("a"), key="id")
    cache.load(rows_of("b"), key="id")

    push(cache.at(older.id), places.url)

    reader = DynamoDBCache("scores", places.url)
    assert (reader.version.id, reader.get(1)["tag"]) == (older.id, "a")


def test_a_cache_on_an_object_store_is_pushed(
    rows_of: Any, places: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shards are fetched for it."""
    monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", 20)
    cache = Cache("scores", f"memory://plain/{namespace}")
    cache.load(rows_of("a", 60), key="id")

    assert push(cache, places.url).rows == 60

    assert cache.get_many(range(61)).equals(DynamoDBCache("scores", places.url).get_many(range(61)))


def test_an_empty_version(local_and_pushed: Any, cache: Cache, both: Any) -> None:
    """No rows are a version, too."""
    reader = local_and_pushed(cache, both.url, pa.table({"id": pa.array([], pa.int64())}))

    assert reader.version.rows == 0
    assert reader.get(1) is None


def test_a_reader_follows_to_another_key_type(local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any) -> None:
    """A version with text for keys is read by a reader that knew integers."""
    reader = local_and_pushed(cache, places.url, rows_of("a"))
    assert reader.get(1)["tag"] == "a"

    local_and_pushed(cache, places.url, pa.table({"id": ["k"], "tag": ["b"]}))

    assert reader.get("k") == {"id": "k", "tag": "b"}


def test_a_table_that_is_missing_can_be_made(rows_of: Any, cache: Cache, either: str) -> None:
    """The error says how; `create` does it, with the key that is needed and billed by request, once."""
    cache.load(rows_of("a"), key="id")
    url = f"dynamodb://missing-{cache.version.id}?endpoint={either}"
    for act in (lambda: push(cache, url), lambda: DynamoDBCache("scores", url).get(1)):
        with pytest.raises(NotFoundError, match="doesn't exist") as caught:
            act()
        assert "--create" in str(caught.value)
        assert "--billing-mode PAY_PER_REQUEST" in str(caught.value)

    assert push(cache, url, create=True).written
    assert not push(cache, url, create=True).written
    create_table(url)
    assert DynamoDBCache("scores", url).get(1)["tag"] == "a"


@pytest.mark.parametrize("kind", ["S", "N"])
def test_a_table_with_another_key_is_refused(rows_of: Any, cache: Cache, both: Any, kind: str) -> None:
    """A sort key of another type, or none; the error says which key is needed."""
    cache.load(rows_of("a"), key="id")
    names = [("pk", "HASH", "S"), ("sk", "RANGE", kind)][: 2 if kind == "S" else 1]
    both.raw.create_table(
        TableName=f"{both.table}-{kind}",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": type_} for name, _, type_ in names],
        KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in names],
        BillingMode="PAY_PER_REQUEST",
    )
    url = both.url.replace(both.table, f"{both.table}-{kind}")

    with pytest.raises(ConfigError, match="another key") as caught:
        push(cache, url)

    assert "AttributeName=sk,AttributeType=B" in str(caught.value)


def test_nothing_pushed_and_nothing_published(cache: Cache, places: Any) -> None:
    """Both are a cache that isn't there."""
    with pytest.raises(NotFoundError, match="no version"):
        DynamoDBCache("scores", places.url).get(1)
    with pytest.raises(NotFoundError, match="no version"):
        push(cache, places.url)


def test_the_command_line_pushes_and_reads(rows_of: Any, cache: Cache, server: str, capsys: Any) -> None:
    """And makes the table where it is told to, and says so, also where there is nothing to do."""
    cache.load(rows_of("a"), key="id")
    url = f"dynamodb://cli-{cache.version.id}?endpoint={server}"

    main(["cache", "--root", cache.root, "push", "--create", "scores", url])
    main(["cache", "--root", cache.root, "push", "scores", url])
    main(["cache", "--root", url, "get", "scores", "5", "--json"])

    first, second, third = capsys.readouterr().out.splitlines()
    assert "is current there, 60 rows written; 0 old ones removed." in first
    assert "was current there already" in second
    assert third == '{"id":5,"tag":"a"}'


def test_the_command_line_asks_once_what_keys_are(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any, capsys: Any
) -> None:
    """Of however many keys: what is current, what that is, and what is current again; then the rows."""
    local_and_pushed(cache, places.url, rows_of("a"))

    main(["cache", "--root", places.faulty_url, "get", "scores", "--json", *map(str, range(5))])

    assert len(capsys.readouterr().out.splitlines()) == 5
    assert [request.operation for request in places.faulty.requests] == ["GetItem"] * 3 + ["BatchGetItem"] * 5


def test_create_is_for_tables_alone(rows_of: Any, cache: Cache, capsys: Any) -> None:
    """A server of another kind has nothing to make."""
    cache.load(rows_of("a"), key="id")

    code, _, said = lakeflow(
        capsys, "cache", "--root", cache.root, "push", "--create", "scores", "valkey://127.0.0.1:1"
    )

    assert code == 2
    assert "--create makes a DynamoDB table" in said


def test_a_cache_is_opened_by_its_url(local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any) -> None:
    """As any other: with its key and columns."""
    local_and_pushed(cache, places.url, rows_of("a"))

    opened = lf.open_cache("scores", places.url)

    assert isinstance(opened, DynamoDBCache)
    assert (opened.key, opened.schema, opened.get(3)) == (cache.key, cache.schema, cache.get(3))
