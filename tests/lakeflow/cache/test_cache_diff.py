"""What differs between two versions, as two dicts of the same rows say it."""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow.cache.building.build as build_module
import lakeflow.cache.reading.diff as diff_module
from lakeflow.cache import Cache
from lakeflow.cache.keys.hashing import hash_keys
from lakeflow_io.errors import NotFoundError, SchemaError

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {
    "n": pa.int64(),
    "x": pa.float64(),
    "text": pa.string(),
    "list": pa.list_(pa.float32()),
    "struct": pa.struct({"a": pa.list_(pa.int8())}),
}
FLOATS = st.none() | st.sampled_from([0.5, 1.0, math.nan])
ROWS = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(0, 2),
        "x": FLOATS,
        "text": st.none() | st.sampled_from(["", "é"]),
        "list": st.none() | st.lists(FLOATS, max_size=2),
        "struct": st.none() | st.fixed_dictionaries({"a": st.none() | st.lists(st.integers(0, 1), max_size=1)}),
    }
)


def changes(cache: Cache, old: str, new: str | None = None) -> dict[str, set[Any]]:
    """Return the keys of each kind of change; no key stands twice."""
    rows = cache.diff(old, new).read_all().to_pylist()
    kinds: dict[str, set[Any]] = {}
    for row in rows:
        kind = row.pop("_change_type")
        key = tuple(row.values()) if len(row) > 1 else next(iter(row.values()))
        kinds.setdefault(kind, set()).add(key)
    assert len(rows) == sum(map(len, kinds.values()))
    return kinds


def table_of(rows: dict[int, dict[str, Any]]) -> pa.Table:
    """Return the rows of a dict as a table with the key in column `id`."""
    schema = pa.schema([("id", pa.int64()), *TYPES.items()])
    return pa.Table.from_pylist([{"id": key, **row} for key, row in rows.items()], schema=schema)


def expected(old: dict[Any, Any], new: dict[Any, Any]) -> dict[str, set[Any]]:
    """Compare two dicts; repr, in which a NaN is like a NaN."""
    kinds = {
        "added": set(new) - set(old),
        "removed": set(old) - set(new),
        "changed": {key for key in set(old) & set(new) if repr(old[key]) != repr(new[key])},
    }
    return {kind: keys for kind, keys in kinds.items() if keys}


@pytest.mark.parametrize("hashes", [2, 2**64 - 1])
def test_a_diff_is_that_of_two_dicts(hashes: int) -> None:
    """Over all kinds of columns and any number of shards, few hashes or many, both ways round."""

    @settings(max_examples=12, deadline=None)
    @given(
        old=st.dictionaries(st.integers(0, 30), ROWS, max_size=25),
        new=st.dictionaries(st.integers(0, 30), ROWS, max_size=25),
        kept=st.sets(st.integers(0, 30)),
    )
    def check(old: dict[int, Any], new: dict[int, Any], kept: set[int]) -> None:
        new = {**new, **{key: row for key, row in old.items() if key in kept}}
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(build_module, "SHARD_ROWS", 7)
            patch.setattr(diff_module, "_BLOCK_ROWS", 5)
            patch.setattr(
                "lakeflow.cache.building.unsorted.hash_keys", lambda keys: hash_keys(keys) % np.uint64(hashes)
            )
            patch.setattr("lakeflow.cache.reading.version.hash_keys", lambda keys: hash_keys(keys) % np.uint64(hashes))
            patch.setattr("lakeflow.cache.publishing.publish._read_back", lambda *_: None)
            cache = Cache("scores", folder)
            first, second = (cache.load(table_of(rows), key="id").id for rows in (old, new))

            assert expected(old, new) == changes(cache, first)
            assert expected(new, old) == changes(cache, second, first)
            assert changes(cache, first, first) == {}

    check()


def test_composite_keys_differ_as_tuples(tmp_path: Path) -> None:
    """All columns of the key are in the answer, by name."""
    cache = Cache("pairs", tmp_path)
    first = cache.load(pa.table({"u": ["a", "b"], "n": [1, 2], "i": [1, 1]}), key=["u", "i"]).id
    cache.load(pa.table({"u": ["a", "b"], "n": [1, 3], "i": [2, 1]}), key=["u", "i"])

    assert cache.diff(first).schema.names == ["u", "i", "_change_type"]
    assert changes(cache, first) == {"added": {("a", 2)}, "removed": {("a", 1)}, "changed": {("b", 1)}}


def test_other_columns_change_every_key_that_stayed(tmp_path: Path) -> None:
    """A column that came, went or has another type; one that only moved changes nothing."""
    cache = Cache("scores", tmp_path)
    tables = [
        pa.table({"id": [1, 2], "x": [1, 2]}),
        pa.table({"x": [1, 2], "id": [1, 2]}),
        pa.table({"id": [2, 3], "x": [2.0, 3.0]}),
        pa.table({"id": [3]}),
    ]
    cache = Cache("scores", tmp_path, keep=4)
    ids = [cache.load(table, key="id").id for table in tables]

    assert changes(cache, ids[0], ids[1]) == {}
    assert changes(cache, ids[1], ids[2]) == {"added": {3}, "removed": {1}, "changed": {2}}
    assert changes(cache, ids[2], ids[3]) == {"removed": {2}, "changed": {3}}


def test_other_keys_have_no_diff(tmp_path: Path) -> None:
    """Versions with other key columns, and versions that aren't there."""
    cache = Cache("scores", tmp_path)
    first = cache.load(pa.table({"id": [1], "x": [1]}), key="id").id
    second = cache.load(pa.table({"id": [1], "x": [1]}), key="x").id

    with pytest.raises(SchemaError, match="other keys: id"):
        cache.diff(first, second)
    with pytest.raises(NotFoundError):
        cache.diff("nope")


def test_a_diff_is_read_after_its_versions_went(tmp_path: Path) -> None:
    """Both versions are open from the beginning on, so no publish takes them away."""
    cache = Cache("scores", tmp_path, keep=2)
    first = cache.load(pa.table({"id": [1, 2]}), key="id").id
    cache.load(pa.table({"id": [2, 3]}), key="id")
    reader = cache.diff(first)

    for _ in range(2):
        cache.load(pa.table({"id": [9]}), key="id")

    assert reader.read_all().to_pydict() == {"id": [3, 1], "_change_type": ["added", "removed"]}


def test_a_nan_is_like_a_nan_and_no_null(tmp_path: Path) -> None:
    """In a column of floats and within a list; a null is like a null."""
    nan, kinds = math.nan, {"x": pa.float64(), "l": pa.list_(pa.float32())}
    cache = Cache("scores", tmp_path)
    old = {"x": [nan, nan, None, None, 1.0], "l": [[nan], None, [nan], [None], [1.0]]}
    new = {"x": [nan, None, None, nan, 2.0], "l": [[nan], None, [nan], [None], [1.0]]}
    first, second = (
        cache.load(
            pa.table({"id": range(5), **{name: pa.array(rows[name], kinds[name]) for name in kinds}}), key="id"
        ).id
        for rows in (old, new)
    )

    assert changes(cache, first, second) == {"changed": {1, 3, 4}}


def test_a_diff_holds_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both versions together no more rows than a block has are in memory, whatever size the shards have."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 300)
    monkeypatch.setattr(diff_module, "_BLOCK_ROWS", 100)
    cache = Cache("scores", tmp_path)
    first = cache.load(pa.table({"id": range(1000), "n": range(1000)}), key="id").id
    cache.load(pa.table({"id": range(500, 2000), "n": range(1500)}), key="id")
    compare, sizes = diff_module._changes, []

    def counted(key: Any, before: Any, after: Any) -> Any:
        sizes.append((before.rows.num_rows, after.rows.num_rows))
        return compare(key, before, after)

    monkeypatch.setattr(diff_module, "_changes", counted)
    rows = sum(batch.num_rows for batch in cache.diff(first))

    assert rows == 2000
    assert [sum(each) for each in zip(*sizes, strict=True)] == [1000, 1500]
    assert max(map(sum, sizes)) <= 100
