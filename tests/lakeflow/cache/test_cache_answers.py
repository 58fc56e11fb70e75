"""`get_many` as a table, a frame or a dict; and the columns that were asked for alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache
from lakeflow_io.errors import InputError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return a cache of ten rows in some shards."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 4)
    cache = Cache("scores", tmp_path)
    cache.load(pa.table({"a": [n * 10 for n in range(10)], "id": range(10), "b": list("abcdefghij")}), key="id")
    return cache


def test_each_kind_holds_the_same_rows(cache: Cache) -> None:
    """In the order asked, with duplicates, and misses as nulls that `found` tells from values."""
    asked = [7, 99, 2, 7]
    columns = {"a": [70, None, 20, 70], "id": asked, "b": ["h", None, "c", "h"], "found": [True, False, True, True]}

    arrow, polars = cache.get_many(asked), cache.get_many(asked, to="polars")
    pandas, duckdb = cache.get_many(asked, to="pandas"), cache.get_many(asked, to="duckdb")

    assert columns == arrow.to_pydict()
    assert isinstance(polars, pl.DataFrame)
    assert columns == polars.to_dict(as_series=False)
    assert isinstance(pandas, pd.DataFrame)
    assert columns == pa.Table.from_pandas(pandas, preserve_index=False).to_pydict()
    assert list(zip(*columns.values(), strict=True)) == duckdb.fetchall()


def test_a_dict_has_each_key_once(cache: Cache) -> None:
    """In the order first asked, with the row that `get` gives, or None."""
    asked = [7, 99, 2, 7]

    rows = cache.get_many(asked, to="dict")

    assert list(rows) == [7, 99, 2]
    assert {key: cache.get(key) for key in asked} == rows
    assert cache.get_many([], to="dict") == {}
    assert cache.get_many(iter([1]), to="dict", columns=["b"]) == {1: {"b": "b"}}


def test_a_dict_of_a_composite_key_has_tuples(tmp_path: Path) -> None:
    """As `get` takes them, whatever they were asked by."""
    cache = Cache("pairs", tmp_path)
    cache.load(pa.table({"u": ["a"], "i": [1], "n": [5]}), key=["u", "i"])

    asked = pa.table({"u": ["a", "b"], "i": [1, 1]})

    assert cache.get_many(asked, to="dict") == {("a", 1): {"u": "a", "i": 1, "n": 5}, ("b", 1): None}


@pytest.mark.parametrize("columns", [["b"], ["b", "id", "a"], ["id"], ["a", "b"], [], ("b",), None], ids=str)
def test_columns_come_as_asked(cache: Cache, columns: list[str] | None) -> None:
    """Those, in that order, with or without the key; `found` is always last."""
    names = ["a", "id", "b"] if columns is None else list(columns)
    asked = [7, 99, 2, 7]
    whole = cache.get_many(asked)

    found = cache.get_many(asked, columns=columns)

    assert [*names, "found"] == found.column_names
    assert whole.select([*names, "found"]).equals(found)
    assert [{name: cache.get(2)[name] for name in names}, None] == [cache.get(key, columns=columns) for key in (2, 99)]
    assert list(cache.get(2, columns=columns)) == names
    assert cache.get_many([], columns=columns).column_names == [*names, "found"]


def test_a_value_that_python_cannot_hold_is_left_out(tmp_path: Path) -> None:
    """A column that isn't asked for isn't read, so nothing in it is in the way."""
    cache = Cache("scores", tmp_path)
    cache.load(pa.table({"id": [1], "time": pa.array([10**12], pa.timestamp("s")), "n": [1]}), key="id")

    assert cache.get(1, columns=["n"]) == {"n": 1}
    assert cache.get_many([1], columns=["n"], to="dict") == {1: {"n": 1}}
    with pytest.raises(UnsupportedError, match="arrow"):
        cache.get_many([1], to="dict")


def test_what_cannot_be_asked_is_refused(cache: Cache) -> None:
    """Columns that aren't there, twice the same one, what is no list of names, and other kinds."""
    with pytest.raises(NotFoundError, match="nope"):
        cache.get(99, columns=["nope"])
    no_lists: list[Any] = [["a", "a"], "a", b"a", 1, [1], [None], [["a"]], pa.array(["a"])]
    for columns in no_lists:
        with pytest.raises(InputError, match="columns="):
            cache.get_many([1], columns=columns)
        with pytest.raises(InputError, match="columns="):
            cache.get(99, columns=columns)
    kind: Any = "csv"
    with pytest.raises(InputError, match="to='csv'"):
        cache.get_many([1], to=kind)
