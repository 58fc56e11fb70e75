"""A cache of `layout="rows"` answers what one of columns does, whatever is in it and whatever is asked."""

from __future__ import annotations

import tempfile
import zlib
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from exact_columns import EXACT_COLUMNS
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow.cache.building.build as build_module
import lakeflow.cache.building.unsorted as unsorted_module
import lakeflow.cache.reading.version as version_module
import lakeflow.cache.rows.file as file_module
import lakeflow.cache.rows.mapped as mapped_module
import lakeflow.cache.rows.version as rows_module
from lakeflow.cache import Cache
from lakeflow.cache.files import mapping
from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow_io.errors import NotFoundError, SchemaError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import DrawFn

KEYS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    pa.large_binary(): st.binary(max_size=20),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards of at most 7 rows and batches of 3 buckets of some rows, and look keys up 5 at a time."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 7)
    monkeypatch.setattr(version_module, "_BLOCK_KEYS", 5)
    monkeypatch.setattr(file_module, "_BUCKET_BYTES", 100)
    monkeypatch.setattr(file_module, "_STEP_ROWS", 2)
    for module in (file_module, mapped_module):
        monkeypatch.setattr(module, "BATCH_BUCKETS", 3)


@pytest.fixture
def colliding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all keys one of three hashes."""
    monkeypatch.setattr(version_module.Finder, "of", lambda *_: None)  # it has a hash function of its own
    for module in (rows_module, version_module):
        monkeypatch.setattr(module, "hash_key", lambda key: hash_key(key) % 3 << 40)
    for module in (unsorted_module, rows_module, version_module):
        monkeypatch.setattr(module, "hash_keys", lambda keys: hash_keys(keys) % np.uint64(3) << np.uint64(40))


@st.composite
def tables(draw: DrawFn, most_columns: int = 6) -> tuple[pa.Table, list[str]]:
    """Rows of up to two key columns and of others of any type, and the key."""
    kinds = draw(st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=2))
    keys = draw(st.lists(st.tuples(*(KEYS[kind] for kind in kinds)), unique=True, max_size=30))
    names = [f"k{number}" for number in range(len(kinds))]
    columns = {
        name: pa.array([key[number] for key in keys], kind)
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    for number, column in enumerate(draw(st.lists(st.sampled_from(EXACT_COLUMNS), max_size=most_columns))):
        places = st.integers(0, len(column) - 1)
        chosen = draw(st.lists(places, min_size=len(keys), max_size=len(keys)))
        columns[f"c{number}"] = column.take(pa.array(chosen, pa.int64()))
    return pa.table(columns), names


def both(folder: str, table: pa.Table, key: list[str]) -> tuple[Cache, Cache]:
    """The same rows in either layout."""
    caches = Cache("columns", folder), Cache("rows", folder, layout="rows")
    for cache in caches:
        cache.load(table, key=key)
    return caches


def assert_alike(columns: Cache, rows: Cache, asked: list[Any], picked: list[str]) -> None:
    """Compare what both answer, one by one and many at once; by text where a NaN would differ from itself."""
    for names in (None, picked):
        for key in asked:
            assert repr(columns.get(key, columns=names)) == repr(rows.get(key, columns=names))
            assert (key in columns) == (key in rows)
        expected, seen = columns.get_many(asked, columns=names), rows.get_many(asked, columns=names)
        seen.validate(full=True)
        assert expected.schema == seen.schema
        assert repr(expected.to_pylist()) == repr(seen.to_pylist())
    assert repr(columns.get_many(asked, to="dict")) == repr(rows.get_many(asked, to="dict"))


@pytest.mark.usefixtures("small")
@settings(max_examples=15, deadline=None)
@given(made=tables(), data=st.data())
def test_both_layouts_answer_alike(made: tuple[pa.Table, list[str]], data: st.DataObject) -> None:
    """Keys of any type and of two columns, present, absent and repeated; columns of every type, all and some."""
    table, key = made
    columns = [table[name].to_pylist() for name in key]
    present = list(zip(*columns, strict=True)) if len(key) > 1 else columns[0]
    absent = st.tuples(*(KEYS[table.schema.field(name).type] for name in key))
    others = [each if len(key) > 1 else each[0] for each in data.draw(st.lists(absent, max_size=5))]
    asked = data.draw(st.permutations([*present, *others, *present[:2]]))
    picked = data.draw(st.lists(st.sampled_from(table.schema.names), unique=True))

    with tempfile.TemporaryDirectory() as folder:
        assert_alike(*both(folder, table, key), asked, picked)


@pytest.mark.usefixtures("small", "colliding")
@settings(max_examples=5, deadline=None)
@given(made=tables(most_columns=2))
def test_keys_with_one_hash_are_told_apart(made: tuple[pa.Table, list[str]]) -> None:
    """The hash says where a row is, the key whether it is the one."""
    table, key = made
    columns = [table[name].to_pylist() for name in key]
    asked = list(zip(*columns, strict=True)) if len(key) > 1 else columns[0]

    with tempfile.TemporaryDirectory() as folder:
        assert_alike(*both(folder, table, key), asked, key)


def test_every_type_at_once(tmp_path: Path) -> None:
    """A row with a column of each type that a pushed row holds, in buckets of the usual size."""
    places = pa.array([n % 2 for n in range(2000)])
    columns = {f"c{n}": column.take(places) for n, column in enumerate(EXACT_COLUMNS)}
    table = pa.table({"id": range(2000), **columns})

    columns_cache, rows_cache = both(str(tmp_path), table, ["id"])

    asked = [*range(2000), -1, 7]
    assert columns_cache.get_many(asked).equals(rows_cache.get_many(asked))
    assert columns_cache.get_many(asked, to="polars", columns=["c2", "c0"]).equals(
        rows_cache.get_many(asked, to="polars", columns=["c2", "c0"])
    )
    assert all(columns_cache.get(key) == rows_cache.get(key) for key in range(0, 2000, 97))


def test_an_empty_version(tmp_path: Path) -> None:
    """Has columns and no rows."""
    columns, rows = both(
        str(tmp_path), pa.table({"id": pa.array([], pa.string()), "n": pa.array([], pa.int8())}), ["id"]
    )

    assert (len(rows), rows.get("x"), "x" in rows) == (0, None, False)
    assert columns.get_many(["x", "y"]).equals(rows.get_many(["x", "y"]))
    assert columns.get_many([]).equals(rows.get_many([]))


def test_bad_questions_are_refused_alike(tmp_path: Path) -> None:
    """A key of another type, a column that isn't there."""
    for cache in both(str(tmp_path), pa.table({"id": [1, 2], "n": [3, 4]}), ["id"]):
        with pytest.raises(SchemaError, match="expects int"):
            cache.get("1")
        with pytest.raises(SchemaError, match="expects int"):
            assert "1" in cache
        with pytest.raises(SchemaError):
            cache.get_many(["1"])
        with pytest.raises(NotFoundError, match="m"):
            cache.get(1, columns=["m"])


def test_a_value_without_a_python_form_is_missed_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """A date past the year 9999 stops who asks for it, and nobody else."""
    late = pa.array([3_000_000], pa.int32()).cast(pa.date32())
    for cache in both(str(tmp_path), pa.table({"id": [1], "late": late, "soon": [date(2026, 1, 1)]}), ["id"]):
        with pytest.raises(UnsupportedError, match="without a Python form"):
            cache.get(1)
        assert cache.get(1, columns=["soon"]) == {"soon": date(2026, 1, 1)}
        assert 1 in cache
        assert cache.get_many([1])["late"].combine_chunks().equals(late)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the kernel, and which buckets are compared with their sums; nothing is taken to be in memory."""
    noted: list[str] = []
    crc32 = zlib.crc32
    monkeypatch.setattr(mapped_module, "is_here", lambda *_: False)
    monkeypatch.setattr(mapped_module, "will_need", lambda *_: noted.append("asked"))
    monkeypatch.setattr(mapped_module, "wait_for", lambda *_: noted.append("awaited"))
    monkeypatch.setattr(mapped_module.zlib, "crc32", lambda *of: noted.append("compared") or crc32(*of))
    return noted


def test_many_buckets_are_under_way_before_one_is_waited_for(tmp_path: Path, events: list[str]) -> None:
    """All buckets of a request are asked for, then one is awaited; a bucket is compared with its sum once."""
    cache = both(str(tmp_path), pa.table({"id": range(3000), "n": np.arange(3000.0)}), ["id"])[1]
    cache.get(0)
    events.clear()

    assert cache.get_many(range(3000))["found"].to_pylist() == [True] * 3000
    count = events.count("asked")
    assert count > 20
    assert events == ["asked"] * count + ["awaited"] * count + ["compared"] * (count - 1)
    events.clear()
    cache.get_many(range(3000))
    assert events == ["asked"] * count + ["awaited"] * count


def test_what_is_in_memory_is_not_asked_for(tmp_path: Path, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that this process has had is asked for where it isn't in memory any more, alone or among many."""
    cache = both(str(tmp_path), pa.table({"id": range(3000), "n": np.arange(3000.0)}), ["id"])[1]
    cache.get_many(range(3000))
    events.clear()

    cache.get(7)
    assert events == ["asked", "awaited"]
    events.clear()
    monkeypatch.setattr(mapped_module, "is_here", lambda *_: True)
    cache.get(7)
    cache.get_many(range(3000))
    assert events == []


def test_the_kernel_is_told(tmp_path: Path) -> None:
    """Of a file that was just written pages are in memory; they stay readable whatever is asked of them."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 256)

    content = mapping.mapped(path)
    for start, size in ((0, 1), (5000, 10_000), (0, content.size), (content.size - 1, 1)):
        mapping.will_need(content.address + start, size)
        mapping.wait_for(content.address + start, size)
        assert mapping.is_here(content.address + start, size)
    mapping.expect_any(content.address, content.size)
    path.unlink()
    assert content.to_pybytes() == bytes(range(256)) * 256


def test_answers_are_cut_by_what_has_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rows of many keys are large, fewer keys are looked up at once; one key always is."""
    table = pa.table({"id": range(50), "text": ["x" * 5000] * 50})
    columns, rows = both(str(tmp_path), table, ["id"])
    monkeypatch.setattr(rows_module, "_MOST_BYTES", 20_000)
    expected, seen = columns.get_many(range(50)), rows.get_many(range(50))

    assert expected.equals(seen)
    assert seen["text"].num_chunks > 10
    monkeypatch.setattr(rows_module, "_MOST_BYTES", 20)
    assert expected.equals(rows.get_many(range(50)))


def test_answers_are_cut_where_one_row_is_asked_for_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once, and may be more in the answer than offsets of 32 bits reach."""
    columns, rows = both(str(tmp_path), pa.table({"id": [1], "text": ["x" * 5000]}), ["id"])
    monkeypatch.setattr(rows_module, "_MOST_ANSWERED", 20_000)
    seen = rows.get_many([1] * 37)

    assert columns.get_many([1] * 37).equals(seen)
    assert seen["text"].num_chunks > 10
