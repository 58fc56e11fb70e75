"""A cache pushed to a real Valkey server is read as the local one is, one whole version per request."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from exact_columns import EXACT_COLUMNS

import lakeflow.cache.building.build as build_module
import lakeflow.cache.building.unsorted as unsorted_module
import lakeflow.cache.pushed.reading as reading_module
import lakeflow.cache.reading.version as version_module
import lakeflow.cache.valkey.known as known_module
import lakeflow.cache.valkey.store as store_module
from lakeflow.cache import Cache
from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cache.valkey.source import Source, buckets_for
from lakeflow_io.errors import SchemaError


@pytest.mark.parametrize("values", EXACT_COLUMNS, ids=lambda values: str(values.type))
def test_every_column_type_reads_as_it_does_locally(
    local_and_pushed: Any, cache: Cache, url: str, values: pa.Array
) -> None:
    """`get` and `get_many` of the server return what the local cache returns, types and nulls included."""
    reader = local_and_pushed(
        cache, url, pa.table({"before": values, "id": [1, -2, 3][: len(values)], "after": values})
    )

    assert [cache.get(key) for key in (1, -2, 99)] == [reader.get(key) for key in (1, -2, 99)]
    assert list(cache.get(1)) == list(reader.get(1))
    assert cache.get_many([-2, 9, 1, -2]).equals(reader.get_many([-2, 9, 1, -2]))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[0.5, math.inf, -0.0], None, []], pa.list_(pa.float32())),
        pa.array([[19_000, None], None, []], pa.large_list(pa.int32())).cast(pa.large_list(pa.date32())),
        pa.array([[True, None], None, []], pa.list_(pa.bool_())),
        pa.array([[], None, []], pa.list_(pa.int8(), 0)),
        pa.nulls(3, pa.list_(pa.float32(), 2)),
        pa.array([[0.5, 0.25], None, [1.0, 2.0]], pa.list_(pa.field("element", pa.float16()), 2)),
        pa.array([[b"ab", None], None, []], pa.list_(pa.binary(2))),
        pa.array([[["x"]], None, [[]]], pa.list_(pa.list_(pa.string()))),
    ],
    ids=lambda values: str(values.type),
)  # fmt: skip
def test_lists_read_as_they_do_locally(local_and_pushed: Any, cache: Cache, url: str, values: pa.Array) -> None:
    """Those of values of fixed width, which are bytes there, and others, which are JSON."""
    reader = local_and_pushed(cache, url, pa.table({"id": [1, 2, 3], "some": values}))

    assert [cache.get(key) for key in (1, 2, 3)] == [reader.get(key) for key in (1, 2, 3)]
    assert cache.get_many([3, 9, 1, 2]).equals(reader.get_many([3, 9, 1, 2]))


def test_a_nan_stays_one(local_and_pushed: Any, cache: Cache, url: str) -> None:
    """Also within a list."""
    reader = local_and_pushed(cache, url, pa.table({"id": [1], "x": [math.nan], "y": [[math.nan]]}))

    row = reader.get(1)

    assert math.isnan(row["x"])
    assert math.isnan(row["y"][0])


@pytest.mark.parametrize(
    "keys", [[7, 0, -1], ["é", "a:b {c}\n", ""], [b"\xff\0", b"", b"k"]], ids=["int", "str", "bytes"]
)
def test_keys_of_each_kind(local_and_pushed: Any, cache: Cache, url: str, keys: list[Any]) -> None:
    """Integers, text and bytes are found as they are, a row that holds nothing but its key included."""
    reader = local_and_pushed(cache, url, pa.table({"id": keys}))

    assert [{"id": key} for key in keys] == [reader.get(key) for key in keys]
    assert keys == reader.get_many(keys)["id"].to_pylist()


def test_a_miss_is_a_default_and_a_wrong_key_is_an_error(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str
) -> None:
    """As in the local cache."""
    reader = local_and_pushed(cache, url, rows_of("a"))

    assert (reader.get(1000), reader.get(1000, "none")) == (None, "none")
    assert reader.get_many([]).num_rows == 0
    with pytest.raises(SchemaError, match="expects int"):
        reader.get("7")
    one: Any = 5
    with pytest.raises(SchemaError, match="no list of keys"):
        reader.get_many(one)


def test_the_keys_are_as_documented(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """Literal braces around the name, then the push and the bucket, whose bytes are as `packing` and `fields` say."""
    local_and_pushed(cache, url, rows_of("é", 1))

    push_id = raw.get("lakeflow:{scores}:CURRENT").decode()
    bucket = f"lakeflow:{{scores}}:{push_id}:00000000"
    assert {b"lakeflow:{scores}:CURRENT", b"lakeflow:{scores}:PUSHES", bucket.encode()} == set(raw.keys("*"))
    described = json.loads(raw.hget("lakeflow:{scores}:PUSHES", push_id))
    assert (described["format"], described["state"], described["buckets"]) == (2, "whole", 1)
    assert cache.version.id == described["version"]["version"]
    row = b"\0" + (0).to_bytes(8, "little") + (2).to_bytes(4, "little") + "é".encode()
    head = (1).to_bytes(4, "little") + hash_key(0).to_bytes(8, "little") + len(row).to_bytes(4, "little")
    assert head + row == raw.get(bucket)


def test_the_version_is_that_of_the_local_cache(rows_of: Any, cache: Cache, url: str) -> None:
    """With its rows, source and time, also in a reader that was pickled."""
    cache.load(rows_of("a"), key="id", source="kg.titles@7", run_id="r1")
    push(cache, url)

    reader = pickle.loads(pickle.dumps(ValkeyCache("scores", url)))

    assert cache.version == reader.version


def test_a_second_push_does_nothing(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """The pointer says that the version is there."""
    local_and_pushed(cache, url, rows_of("a"))
    writes = raw.info("commandstats")["cmdstat_mset"]["calls"]

    report = push(cache, url)

    assert (report.written, report.rows) == (False, 0)
    assert writes == raw.info("commandstats")["cmdstat_mset"]["calls"]


def test_two_versions_stay(rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """The third push removes the first one's rows, and nobody else's; without a walk through all keys."""
    raw.set("lakeflow:{scores2}:CURRENT", "another cache's")
    ids = []
    for tag in "abc":
        cache.load(rows_of(tag, 2500), key="id")
        report = push(cache, url)
        ids.append(raw.get("lakeflow:{scores}:CURRENT").decode())

    assert report.removed == 2500
    first, second, third = (len(raw.keys(f"lakeflow:{{scores}}:{each}:*")) for each in ids)
    assert (first, second) == (0, third)
    assert raw.dbsize() == second + third + 3
    assert set(ids[1:]) == {each.decode() for each in raw.hkeys("lakeflow:{scores}:PUSHES")}
    assert "cmdstat_scan" not in raw.info("commandstats")


def test_a_rollback_is_pushed_too(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str) -> None:
    """An earlier version becomes the server's current one again; where the server has kept it, nothing is copied."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    local_and_pushed(cache, url, rows_of("b"))
    assert reader.get(1)["tag"] == "b"

    cache.rollback()
    report = push(cache, url)

    assert (report.written, report.rows) == (True, 0)
    assert reader.get(1)["tag"] == "a"


def test_the_version_of_a_view_is_pushed(rows_of: Any, cache: Cache, url: str) -> None:
    """Though another one is current in the folder."""
    older = cache.load(rows_of("a"), key="id")
    cache.load(rows_of("b"), key="id")

    push(cache.at(older.id), url)

    reader = ValkeyCache("scores", url)
    assert (reader.version.id, reader.get(1)["tag"]) == (older.id, "a")


def test_a_cache_on_an_object_store_is_pushed(
    rows_of: Any, url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shards are fetched for it."""
    monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", 20)
    cache = Cache("scores", f"memory://plain/{namespace}")
    cache.load(rows_of("a", 60), key="id")

    assert push(cache, url).rows == 60

    assert cache.get_many(range(61)).equals(ValkeyCache("scores", url).get_many(range(61)))


def test_what_is_encoded_at_once_is_bounded(cache: Cache) -> None:
    """A step has some thousand rows or some megabytes, however long rows are; steps have each bucket once."""
    texts = ["x" * (300_000 * (n % 300 == 0)) for n in range(30_000)]
    cache.load(pa.table({"id": range(30_000), "text": texts}), key="id")
    fields = Fields(cache.schema)
    source = Source(cache._version(), fields, buckets_for(cache._version(), fields))

    steps = list(source.steps(0))

    assert sum(packed.rows.sum() for _, packed in steps) == 30_000
    assert max(packed.rows.sum() for _, packed in steps) <= 20_000
    assert max(packed.values.nbytes for _, packed in steps) <= 5 << 20
    numbers = [number for _, packed in steps for number in packed.numbers.tolist()]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("colliding", [False, True])
def test_keys_with_one_hash_are_told_apart(
    local_and_pushed: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch, *, colliding: bool
) -> None:
    """The hash says where a row is, the key whether it is the one: in rows and in buckets."""
    if colliding:
        few = 3 << 40
        for module in (known_module, store_module, version_module):
            monkeypatch.setattr(module, "hash_key", lambda key: hash_key(key) & few)
        for module in (unsorted_module, store_module, version_module):
            monkeypatch.setattr(module, "hash_keys", lambda keys: hash_keys(keys) & np.uint64(few))
        monkeypatch.setattr(version_module.Finder, "of", lambda *_: None)  # it has a hash function of its own
    reader = local_and_pushed(cache, url, pa.table({"id": range(100), "tag": [str(n) for n in range(100)]}))

    assert [str(n) for n in range(100)] == [reader.get(n)["tag"] for n in range(100)]
    assert reader.get(1000) is None
    assert [*map(str, range(100)), None] == reader.get_many([*range(100), 1000])["tag"].to_pylist()


def test_composite_keys_read_as_they_do_locally(cache: Cache, url: str) -> None:
    """Tuples are told apart in the server, too, wherever one part ends and the next begins."""
    keys = [("ab", "c", -1), ("a", "bc", -1), ("", "abc", 7)]
    users, items, numbers = zip(*keys, strict=True)
    cache.load(
        pa.table({"n": [1, 2, 3], "user": users, "item": items, "number": numbers}), key=["user", "item", "number"]
    )
    push(cache, url)
    reader = ValkeyCache("scores", url)

    assert [cache.get(key) for key in keys] == [reader.get(key) for key in keys]
    assert reader.get(("abc", "", -1)) is None
    assert cache.get_many([*keys, ("x", "y", 1)]).equals(reader.get_many([*keys, ("x", "y", 1)]))


def test_columns_and_kinds_are_those_of_the_local_cache(local_and_pushed: Any, cache: Cache, url: str) -> None:
    """A projection, in any order, as a table, a frame or a dict."""
    reader = local_and_pushed(cache, url, pa.table({"id": [1, 2], "a": [10, 20], "b": ["x", "y"]}))
    asked = [2, 9, 1, 2]

    assert cache.get(2, columns=["b", "id"]) == reader.get(2, columns=["b", "id"])
    for columns in (None, ["b", "id"], ["a"], []):
        assert cache.get_many(asked, columns=columns).equals(reader.get_many(asked, columns=columns))
        assert cache.get_many(asked, columns=columns, to="dict") == reader.get_many(asked, columns=columns, to="dict")
    assert cache.get_many(asked, to="polars").equals(reader.get_many(asked, to="polars"))


def test_an_empty_version(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str) -> None:
    """Has columns and no rows, also for a reader of the version before."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    assert reader.get(1) is not None

    local_and_pushed(cache, url, rows_of("b").slice(0, 0))

    assert reader.get(1) is None
    assert cache.get_many([1, 2]).equals(reader.get_many([1, 2]))


def test_long_rows(local_and_pushed: Any, cache: Cache, url: str) -> None:
    """Longer than a command is to be, each in a bucket of its own; and many keys in more than one request."""
    texts = [str(n % 10) * (1 + n % 7 * 100_000) for n in range(40)]
    reader = local_and_pushed(cache, url, pa.table({"id": range(40), "text": texts}))

    asked = [*range(40), 3, -1] * 3
    assert cache.get_many(asked).equals(reader.get_many(asked))


def test_more_keys_than_are_read_at_once(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order asked, whatever the form."""
    monkeypatch.setattr(reading_module, "_BLOCK_KEYS", 7)
    reader = local_and_pushed(cache, url, rows_of("a"))
    asked = [*range(99, 0, -3), -1, 5, 5]

    assert cache.get_many(asked).equals(reader.get_many(asked))
    assert cache.get_many(asked, to="dict") == reader.get_many(asked, to="dict")


def test_buckets_across_shards(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket whose rows lie at the end of one shard and the start of the next is whole."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 100)
    reader = local_and_pushed(cache, url, rows_of("a", 2500))

    assert len(cache._version().shards) > 10
    assert cache.get_many(range(2501)).equals(reader.get_many(range(2501)))
