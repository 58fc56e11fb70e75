"""Keys of several columns: looked up by tuple, by table or by structs, never mixed up, and what can't be a key."""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from command_line import lakeflow
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow.cache.building.build as build_module
import lakeflow.cache.reading.version as version_module
from lakeflow.cache import Cache
from lakeflow.cache.keys.hashing import hash_key, hash_keys, join_key, join_keys
from lakeflow_io.errors import DuplicateKeyError, SchemaError

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {"user": pa.string(), "item": pa.int64(), "blob": pa.large_binary(), "small": pa.uint8()}
SCHEMA = pa.schema(TYPES)
KEYS = st.tuples(
    st.text("aé\0", max_size=9), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=9), st.integers(0, 255)
)


def structs_of(keys: list[Any]) -> pa.StructArray:
    """Return tuples as an array of structs."""
    return pa.array([dict(zip(TYPES, key, strict=True)) for key in keys], pa.struct(list(SCHEMA)))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache of two rows, keyed by user and item."""
    cache = Cache("pairs", tmp_path)
    rows = {"item": pa.array([1, 2], pa.int32()), "user": ["ann", "bob"], "score": [0.1, 0.2]}
    cache.load(pa.table(rows), key=["user", "item"])
    return cache


@given(keys=st.lists(KEYS, max_size=20), start=st.integers(0, 3))
def test_both_forms_of_a_joined_key_agree(keys: list[Any], start: int) -> None:
    """An array of structs, sliced or not, is joined and hashed as its tuples are."""
    array = structs_of(keys).slice(start)

    assert [join_key(key) for key in keys[start:]] == join_keys(array).to_pylist()
    assert [hash_key(key) for key in keys[start:]] == hash_keys(array).tolist()


@given(keys=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), unique=True, max_size=20))
def test_joined_keys_are_told_apart(keys: list[Any]) -> None:
    """No two keys have the same bytes, wherever one part ends and the next begins."""
    joined = {join_key(key) for key in keys}

    assert len(keys) == len(joined)
    assert join_key(("ab", "c")) != join_key(("a", "bc"))


def test_joined_hashes_are_frozen() -> None:
    """Files on disk depend on the bytes of a joined key and on their hash."""
    assert join_key(("ann", -2)) == b"\x03\0\0\0ann\x08\0\0\0\xfe" + b"\xff" * 7
    assert hash_key(("ann", -2)) == hash_key(b"\x03\0\0\0ann\x08\0\0\0\xfe" + b"\xff" * 7)


def test_a_composite_cache_is_a_dict_of_tuples() -> None:
    """`get`, `get_many` and `in` say what a dict of the same tuples says, over many shards."""

    @settings(max_examples=15, deadline=None)
    @given(keys=st.lists(KEYS, unique=True, max_size=30), absent=st.lists(KEYS, max_size=5))
    def check(keys: list[Any], absent: list[Any]) -> None:
        table = pa.Table.from_struct_array(structs_of(keys)).append_column("n", pa.array(range(len(keys)), pa.int64()))
        rows = {key: n for n, key in enumerate(keys)}
        asked = [*keys, *absent, *keys[:3]]
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(build_module, "SHARD_ROWS", 7)
            patch.setattr(version_module, "_BLOCK_KEYS", 5)
            cache = Cache("pairs", folder)

            cache.load(table, key=list(TYPES))

            expected = [rows.get(key) for key in asked]
            assert expected == cache.get_many(asked)["n"].to_pylist()
            assert expected == cache.get_many(structs_of(asked))["n"].to_pylist()
            assert expected == [(cache.get(key) or {"n": None})["n"] for key in asked]
            assert [key in rows for key in asked] == [key in cache for key in asked]
            assert asked == [tuple(row.values())[:4] for row in cache.get_many(asked).to_pylist()]

    check()


def test_composite_keys_with_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collision costs comparisons of all parts, never an answer."""
    monkeypatch.setattr("lakeflow.cache.building.unsorted.hash_keys", lambda keys: hash_keys(keys) % np.uint64(2))
    monkeypatch.setattr("lakeflow.cache.reading.version.hash_keys", lambda keys: hash_keys(keys) % np.uint64(2))
    monkeypatch.setattr("lakeflow.cache.reading.version.hash_key", lambda key: hash_key(key) % 2)
    keys = [(user, item) for user in ("a", "b", "c") for item in range(9)]
    cache = Cache("pairs", tmp_path)

    cache.load(pa.table({"u": [u for u, _ in keys], "i": [i for _, i in keys], "n": range(27)}), key=["u", "i"])

    assert list(range(27)) == [cache.get(key)["n"] for key in keys] == cache.get_many(keys)["n"].to_pylist()
    assert cache.get(("a", 9)) is None


def test_tables_and_frames_are_keys(cache: Cache) -> None:
    """Keys come by name from whatever has the columns, in any order, beside others, in any chunks."""
    columns = {"extra": [7, 8, 9], "item": [2, 1, 1], "user": ["bob", "bob", "ann"]}
    table = pa.table(columns)
    asked = [
        [("bob", 2), ("bob", 1), ("ann", 1)],
        (key for key in [["bob", 2], ["bob", 1], ["ann", 1]]),
        table,
        table.to_batches()[0],
        pa.concat_tables([table.slice(0, 1), table.slice(1)]),
        table.to_struct_array(),
        table.to_struct_array().combine_chunks(),
        pl.DataFrame(columns),
        pd.DataFrame(columns),
    ]

    answers = [cache.get_many(keys)["score"].to_pylist() for keys in asked]

    assert [[0.2, None, 0.1]] * len(asked) == answers
    assert cache.get(("ann", np.int64(1))) == {"item": 1, "user": "ann", "score": 0.1}
    assert cache.key == ("user", "item")
    assert cache.get_many([]).num_rows == 0


def test_a_list_of_one_column_is_that_column(tmp_path: Path) -> None:
    """`key=["id"]` is `key="id"`: keys are values, not tuples."""
    cache = Cache("scores", tmp_path)
    cache.load(pa.table({"id": [1]}), key=["id"])

    assert (cache.key, cache.get(1)) == ("id", {"id": 1})


@pytest.mark.parametrize(
    "key", ["ann", ("ann",), ("ann", 1, 2), ("ann", "1"), ("ann", None), ("ann", 1.0), ("ann", 2**31), {"user": "ann"}]
)
def test_a_tuple_of_other_values_is_refused(cache: Cache, key: Any) -> None:
    """A key that no row can have is the caller's mistake, in `get` and in `get_many`."""
    with pytest.raises(SchemaError):
        cache.get(key)
    with pytest.raises(SchemaError):
        cache.get_many([key])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("ann", "is one key"),
        (7, "no list of keys"),
        (pa.table([["a"], ["b"], [1]], names=["user", "user", "item"]), "more than one"),
        (pa.table({"user": ["a"]}), "no column 'item'"),
        (pa.table({"user": ["a"], "item": ["1"]}), "'item' is int32"),
        (pa.table({"user": ["a"], "item": pa.array([None], pa.int32())}), "null"),
        (pa.array([None], pa.struct({"user": pa.string(), "item": pa.int32()})), "null"),
        (pa.array(["a"]), "without the columns"),
    ],
    ids=str,
)
def test_other_tables_are_refused(cache: Cache, keys: Any, said: str) -> None:
    """Columns that are missing, of another type or with nulls."""
    with pytest.raises(SchemaError, match=said):
        cache.get_many(keys)


@pytest.mark.parametrize("key", [[], ["id", "id"], [1], 7, None])
def test_other_names_of_keys_are_refused(tmp_path: Path, key: Any) -> None:
    """No column, one column twice, and what is no name."""
    with pytest.raises(SchemaError, match="names no key"):
        Cache("scores", tmp_path).load(pa.table({"id": [1]}), key=key)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1.0]), "NaN equals nothing"),
        (pa.array([math.nan]), "NaN equals nothing"),
        (pa.array([None], pa.float32()), "NaN equals nothing"),
        (pa.array([None], pa.int64()), "'item' is null"),
    ],
)
def test_floats_and_nulls_are_no_part_of_a_key(tmp_path: Path, column: pa.Array, said: str) -> None:
    """Alone and in a composite key, by the column's name."""
    cache = Cache("pairs", tmp_path)

    for key in ("item", ["user", "item"]):
        with pytest.raises(SchemaError, match=said) as caught:
            cache.load(pa.table({"user": ["a"], "item": column}), key=key)
        assert "'item'" in str(caught.value)


def test_duplicate_tuples_are_named(cache: Cache) -> None:
    """Rows that agree in all parts stop the load; those that agree in one don't."""
    table = pa.table({"user": ["b", "a", "a", "b"], "item": [1, 1, 2, 1]})

    with pytest.raises(DuplicateKeyError, match=r"the key \('b', 1\)\n"):
        cache.load(table, key=["user", "item"])
    assert cache.load(table.slice(0, 3), key=["user", "item"]).rows == 3


def test_a_damaged_index_of_a_composite_key_is_repaired(cache: Cache, tmp_path: Path) -> None:
    """It is computed from the columns of the payload."""
    index = tmp_path / "pairs" / "versions" / cache.version.id / "shard-0000.idx"
    content = index.read_bytes()
    index.unlink()

    assert cache.repair() == ["shard-0000.idx"]
    assert content == index.read_bytes()


def test_a_composite_key_from_a_shell(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    """`lakeflow cache get` takes the list as JSON."""
    found = lakeflow(capsys, "cache", "--root", cache.root, "get", "--json", "pairs", '["bob", 2]')
    refused = lakeflow(capsys, "cache", "--root", cache.root, "get", "pairs", "bob")

    assert found[:2] == (0, '{"item":2,"user":"bob","score":0.2}\n')
    assert refused[0] == 2
    assert "JSON" in refused[2]
