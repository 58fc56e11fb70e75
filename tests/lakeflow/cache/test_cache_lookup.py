"""What is loaded is what `get` and `get_many` return, for every key type and column type."""

from __future__ import annotations

import math
import pickle
import tempfile
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow.cache.building.build as build_module
import lakeflow.cache.reading.version as version_module
from lakeflow.cache import Cache
from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow_io.errors import SchemaError, UnsupportedError
from lakeflow_io.keyed import binding

if TYPE_CHECKING:
    from pathlib import Path

NESTED = pa.struct([("tags", pa.list_(pa.string())), ("weight", pa.float64())])
KEYS = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    pa.binary(): st.binary(max_size=20),
}
ROWS = st.fixed_dictionaries(
    {
        "score": st.none() | st.floats(allow_nan=False),
        "name": st.none() | st.text("aé", max_size=5),
        "nested": st.none()
        | st.fixed_dictionaries(
            {
                "tags": st.none() | st.lists(st.none() | st.text("xy"), max_size=3),
                "weight": st.none() | st.just(0.5),
            }
        ),
    }
)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards of at most 7 rows, and look keys up 5 at a time."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 7)
    monkeypatch.setattr(version_module, "_BLOCK_KEYS", 5)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache without a version."""
    return Cache("scores", tmp_path)


@pytest.fixture(params=[1, 3], ids=["one hash", "three hashes"])
def few_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all keys one of a few hashes."""
    buckets = request.param

    def hash_few(keys: pa.Array) -> Any:
        return hash_keys(keys) % np.uint64(buckets)

    monkeypatch.setattr("lakeflow.cache.building.unsorted.hash_keys", hash_few)
    monkeypatch.setattr("lakeflow.cache.reading.version.hash_keys", hash_few)
    monkeypatch.setattr("lakeflow.cache.reading.version.hash_key", lambda key: hash_key(key) % buckets)
    monkeypatch.setattr(
        "lakeflow.cache.reading.version.Finder.of", lambda *_: None
    )  # it has a hash function of its own


def table_of(rows: dict[Any, dict[str, Any]], kind: pa.DataType) -> pa.Table:
    """Return the rows of a dict as a table with the key in column `id`."""
    schema = pa.schema([("id", kind), ("score", pa.float64()), ("name", pa.string()), ("nested", NESTED)])
    return pa.Table.from_pylist([{"id": key, **row} for key, row in rows.items()], schema=schema)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("kind", KEYS, ids=str)
def test_a_cache_is_a_dict(kind: pa.DataType) -> None:
    """`get`, `get_many`, `in` and `len` say what a dict of the same rows says, present keys and absent."""

    @settings(max_examples=12, deadline=None)
    @given(
        rows=st.dictionaries(KEYS[kind], ROWS, max_size=40),
        absent=st.lists(KEYS[kind], max_size=5),
        cuts=st.lists(st.integers(0, 40), max_size=3),
    )
    def check(rows: dict[Any, dict[str, Any]], absent: list[Any], cuts: list[int]) -> None:
        table = table_of(rows, kind)
        edges = sorted({0, *(min(cut, len(rows)) for cut in cuts), len(rows)})
        pieces = [table.slice(start, end - start) for start, end in pairwise(edges)]
        chunked = pa.concat_tables(pieces or [table])
        asked = [*rows, *absent, *list(rows)[:3]]
        with tempfile.TemporaryDirectory() as folder:
            cache = Cache("scores", folder)

            cache.load(chunked, key="id")

            expected = [{"id": key, **rows[key]} if key in rows else None for key in asked]
            many = cache.get_many(asked)
            empty = {"score": None, "name": None, "nested": None, "found": False}
            full = [
                {**row, "found": True} if row else {"id": key, **empty}
                for key, row in zip(asked, expected, strict=True)
            ]
            assert expected == [cache.get(key) for key in asked]
            assert full == many.to_pylist()
            assert [key in rows for key in asked] == [key in cache for key in asked]
            assert len(rows) == len(cache)
            assert kind == many.schema.field("id").type

    check()


@pytest.mark.usefixtures("few_hashes")
def test_keys_with_one_hash_are_told_apart(cache: Cache) -> None:
    """A collision costs comparisons, never an answer."""
    names = [f"k{number}" for number in range(50)]
    cache.load(pa.table({"id": names, "n": range(50)}), key="id")

    assert [{"id": name, "n": n} for n, name in enumerate(names)] == [cache.get(name) for name in names]
    assert list(range(50)) == cache.get_many(names)["n"].to_pylist()
    assert cache.get("k50") is None
    assert cache.get_many(["k51", "k3"])["found"].to_pylist() == [False, True]


def test_columns_of_every_kind_come_back(cache: Cache) -> None:
    """Views, dictionaries, maps, decimals, times and NaN come back as the same Python values."""
    table = pa.table(
        {
            "id": pa.array(["a", "b"], pa.string_view()),
            "view": pa.array(["x" * 40, None], pa.string_view()),
            "views": pa.array([["y" * 40, None], None], pa.list_(pa.binary_view())),
            "dictionary": pa.array(["m", None]).dictionary_encode(),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
            "fixed": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
            "list": pa.array([[1], None], pa.large_list(pa.int64())),
            "struct": pa.array([{"s": "z"}, None], pa.struct([("s", pa.string_view())])),
            "decimal": pa.array(["1.50", None]).cast(pa.decimal128(10, 2)),
            "time": pa.array([1, None], pa.timestamp("us", "UTC")),
            "half": pa.array([math.inf, None], pa.float64()),
            "nothing": pa.nulls(2),
            "flag": pa.array([True, None]),
        }
    )

    cache.load(table, key="id")

    assert table.to_pylist() == [cache.get("a"), cache.get("b")]
    assert table.to_pylist() == cache.get_many(["a", "b"]).drop(["found"]).to_pylist()
    assert cache.get_many(["c"]).to_pylist()[0] == dict.fromkeys(table.column_names) | {
        "id": "c",
        "found": False,
    }


def test_nan_is_a_value(cache: Cache) -> None:
    """A NaN passes the read-back check and comes back as NaN."""
    cache.load(pa.table({"id": [1], "x": [math.nan]}), key="id")

    assert math.isnan(cache.get(1)["x"])


def test_a_value_that_python_cannot_hold(cache: Cache) -> None:
    """A time past the year 9999 is in `get_many`; `get` says that Python has no such value."""
    times = pa.array([10**12], pa.timestamp("s"))
    cache.load(pa.table({"id": [1], "time": times}), key="id")

    assert cache.get_many([1])["time"].combine_chunks().equals(times)
    with pytest.raises(UnsupportedError, match="get_many"):
        cache.get(1)


def test_a_set_of_keys_is_a_cache(cache: Cache) -> None:
    """A table of nothing but keys can be loaded and asked."""
    cache.load(pa.table({"id": [1, 2]}), key="id")

    assert cache.get(2) == {"id": 2}
    assert cache.get_many([1, 3])["found"].to_pylist() == [True, False]


def test_an_empty_version_misses(cache: Cache) -> None:
    """A version without rows is legal, keeps its columns, and every look-up misses."""
    cache.load(pa.table({"id": pa.array([], pa.int64()), "x": pa.array([], pa.string())}), key="id")

    assert len(cache) == 0
    assert cache.get(1, default="none") == "none"
    assert cache.get_many([1]).to_pylist() == [{"id": 1, "x": None, "found": False}]
    assert cache.get_many([]).num_rows == 0


def test_streams_and_batches_load(cache: Cache) -> None:
    """A reader, an iterable of batches and one batch all load; a column of nulls takes its type elsewhere."""
    first = pa.record_batch({"id": [1], "x": pa.nulls(1)})
    second = pa.record_batch({"id": [2], "x": ["b"]})

    cache.load(iter([first, second]), key="id")
    of_batches = cache.get_many([1, 2])["x"].to_pylist()
    cache.load(pa.RecordBatchReader.from_batches(second.schema, iter([second])), key="id")
    of_reader = cache.get_many([1, 2])["x"].to_pylist()
    cache.load(second, key="id")

    assert of_batches == of_reader == cache.get_many([1, 2])["x"].to_pylist() == [None, "b"]


def test_keys_come_from_arrays_too(cache: Cache) -> None:
    """Arrow, chunked and numpy arrays and numpy scalars are keys as Python ints are."""
    cache.load(pa.table({"id": pa.array([1, 2], pa.int32()), "x": [10, 20]}), key="id")
    asked = [
        [2, 1],
        (number for number in (2, 1)),
        pa.array([2, 1], pa.uint8()),
        pa.chunked_array([[9, 2], [1]]).slice(1),
        np.array([2, 1]),
        np.array([2, 1], ">i8"),
        [np.int16(2), np.int64(1)],
        pa.chunked_array([pa.array([2]).dictionary_encode(), pa.array([1]).dictionary_encode()]),
    ]

    answers = [cache.get_many(keys)["x"].to_pylist() for keys in asked]

    assert [[20, 10]] * len(asked) == answers
    scalar: Any = np.int64(2)
    assert cache.get(scalar) == {"id": 2, "x": 20}


def test_categories_are_keys(cache: Cache) -> None:
    """Of pandas, of Polars, whose dictionaries hold views, and of Arrow: they are looked up as their texts."""
    cache.load(pa.table({"id": ["a", "b"], "x": [1, 2]}), key="id")
    texts = ["b", "a", "b", "c"]
    asked = [
        pd.Series(pd.Categorical(texts)),
        pl.Series(texts, dtype=pl.Categorical),
        pl.Series(texts, dtype=pl.Enum(["a", "b", "c"])),
        pa.array(texts).dictionary_encode(),
    ]

    answers = [cache.get_many(keys)["x"].to_pylist() for keys in asked]

    assert [[2, 1, 2, None]] * len(asked) == answers


def test_shards_are_plain_arrow_and_numpy(cache: Cache, tmp_path: Path) -> None:
    """Any Arrow tool reads the payload, and numpy the index, which is sorted."""
    version = cache.load(pa.table({"id": range(100)}), key="id")
    folder = tmp_path / "scores" / "versions" / version.id

    with pa.ipc.open_file(folder / "shard-0000.arrow") as reader:
        payload = reader.read_all()
    index = np.load(folder / "shard-0000.idx", mmap_mode="r")

    assert sorted(payload["id"].to_pylist()) == list(range(100))
    assert (np.diff(index.astype(object)) >= 0).all()
    assert hash_keys(payload["id"]).tolist() == index.tolist()


def test_a_cache_can_be_pickled(cache: Cache) -> None:
    """An object that has read goes to another process and reads there."""
    cache.load(pa.table({"id": [1]}), key="id")
    cache.get(1)

    copy = pickle.loads(pickle.dumps(cache))

    assert copy.get(1) == {"id": 1}


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        (
            pa.array([1]),
            ["1", b"1", 1.0, True, None, np.float64(1), np.bool_(1), 2**63, pa.scalar(None, pa.int64()), np.array([1])],
        ),
        (pa.array(["1"]), [1, b"1", None, "\ud800"]),
        (pa.array([b"1"]), [1, "1", None]),
        (pa.array([1], pa.uint8()), [-1, 256]),
    ],
)
def test_a_key_of_another_type_is_refused(cache: Cache, stored: pa.Array, wrong: list[Any]) -> None:
    """A key that no row can have is the caller's mistake, in `get` and in `get_many`."""
    cache.load(pa.table({"id": stored}), key="id")

    for key in wrong:
        with pytest.raises(SchemaError):
            cache.get(key)
        with pytest.raises(SchemaError):
            cache.get_many([key])


@pytest.mark.parametrize(
    "keys",
    [
        *("abc", 5, None, np.array(1), np.array([[1]]), np.array([1.5])),
        *(pa.array(["a"]), pa.array([1.0]), pa.array([1, None]), pa.array([2**40]), pa.table({"id": [1]})),
    ],
)
def test_an_array_of_another_type_is_refused(cache: Cache, keys: Any) -> None:
    """An array that doesn't fit the key column is refused as its elements would be."""
    cache.load(pa.table({"id": pa.array([1], pa.int32())}), key="id")

    with pytest.raises(SchemaError):
        cache.get_many(keys)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=str)
def test_nothing_compiled_is_needed(cache: Cache, kind: pa.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no library, the same files are written, and read."""
    keys = pa.array(range(500)).cast(kind)
    table = pa.table({"id": keys, "name": [f"row {number}" for number in range(500)], "n": range(500)})
    asked = [*keys.to_pylist()[::7], *pa.array([777]).cast(kind).to_pylist()]

    def seen() -> tuple[Any, ...]:
        opened = cache._version()
        files = [(file.bytes, file.crc32) for file in opened.manifest.files]
        return files, opened.finder is None, [cache.get(key) for key in asked], cache.get_many(asked)

    cache.load(table, key="id")
    files, without, rows, many = seen()
    monkeypatch.setattr(binding, "library", lambda: None)
    binding.keyed_library.cache_clear()
    try:
        cache.load(table, key="id")
        assert (files, True, rows, many) == seen()
    finally:
        binding.keyed_library.cache_clear()
    assert not without
