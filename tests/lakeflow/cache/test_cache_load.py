"""How rows come into a version: straight from memory, or through segments where they are many or still come."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lakeflow as lf
import lakeflow.cache.building.build as build_module
import lakeflow.cache.building.load as load_module
import lakeflow.cache.building.segment as segment_module
import lakeflow.cache.building.unsorted as unsorted_module
from lakeflow.cache import Cache
from lakeflow_io.errors import DuplicateKeyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = pa.table({"id": range(1_000), "text": [None if n % 3 == 0 else str(n) for n in range(1_000)]})


@pytest.fixture
def segments(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each segment that is written from here on."""
    seen: list[int] = []
    write = segment_module.write_shard

    def counted(folder: Path, name: str, rows: pa.RecordBatch, hashes: Any) -> Any:
        seen.append(rows.num_rows)
        return write(folder, name, rows, hashes)

    monkeypatch.setattr(segment_module, "write_shard", counted)
    return seen


def contents(cache: Cache) -> pa.Table:
    """All rows of the current version, in the order in which they lie; every file is compared with its checksum."""
    cache.verify()
    opened = cache._version()
    return pa.Table.from_batches(opened.batches(), schema=opened.schema)


@pytest.mark.parametrize(
    "given_as",
    [
        lambda: ROWS,
        lambda: ROWS.combine_chunks().to_batches()[0],
        lambda: [ROWS[:300], ROWS[300:]],
        lambda: iter(ROWS.to_batches(max_chunksize=100)),
        lambda: pa.RecordBatchReader.from_batches(ROWS.schema, ROWS.to_batches(max_chunksize=100)),
    ],
    ids=["table", "batch", "list", "iterator", "reader"],
)
def test_what_is_in_memory_is_written_once(given_as: Callable[[], Any], segments: list[int], tmp_path: Path) -> None:
    """There is no segment of it, nor of a stream that ends before it is worth one."""
    cache = Cache("scores", tmp_path)

    cache.load(given_as(), key="id")

    assert segments == []
    assert ROWS["text"].to_pylist() == cache.get_many(range(1_000))["text"].to_pylist()


@pytest.mark.parametrize(
    "held",
    [ROWS, ROWS.combine_chunks().to_batches()[0], lf.DataFrame(ROWS), ROWS.to_batches(max_chunksize=100)],
    ids=["table", "batch", "frame", "list"],
)
def test_what_is_in_memory_may_be_larger_than_a_segment(
    held: Any, segments: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no more memory for that."""
    monkeypatch.setattr(load_module, "SEGMENT_BYTES", 100)
    cache = Cache("scores", tmp_path)

    cache.load(held, key="id")

    assert segments == []
    assert ROWS["text"].to_pylist() == cache.get_many(range(1_000))["text"].to_pylist()


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MOST_BYTES", 5_000), ("MOST_ROWS", 999)],
    ids=["bytes", "rows"],
)
def test_what_is_large_goes_through_segments(
    limit: str, value: int, segments: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bytes or rows than fit in memory beside their order are sorted piece by piece."""
    monkeypatch.setattr(unsorted_module, limit, value)
    cache = Cache("scores", tmp_path)

    cache.load(pa.Table.from_batches(ROWS.to_batches(max_chunksize=100)), key="id")

    assert sum(segments) == 1_000
    assert ROWS["text"].to_pylist() == cache.get_many(range(1_000))["text"].to_pylist()


def test_a_stream_is_never_held_whole(segments: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes segments as it comes, however much of a table may stay in memory."""
    monkeypatch.setattr(load_module, "SEGMENT_BYTES", 5_000)
    held: list[int] = []

    def batches() -> Any:
        for batch in ROWS.to_batches(max_chunksize=100):
            held.append(sum(segments))
            yield batch

    Cache("scores", tmp_path).load(batches(), key="id")

    assert sum(segments) == 1_000
    assert [came - written <= 500 for came, written in zip(range(0, 1_000, 100), held, strict=True)] == [True] * 10


def test_one_load_makes_work_for_both_builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be one shard is two, from a size on; what is smaller stays one."""
    monkeypatch.setattr(build_module, "_SHARED_BYTES", 10_000)
    cache = Cache("scores", tmp_path)

    cache.load(ROWS, key="id")
    several = len(cache._version().shards)
    cache.load(ROWS[:200], key="id")

    assert [several, len(cache._version().shards)] == [2, 1]


KEYS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=60).map(lambda keys: pa.array(keys, pa.int64())),
    st.lists(st.text(max_size=9), unique=True, max_size=60).map(lambda keys: pa.array(keys, pa.string())),
    st.lists(st.binary(max_size=9), unique=True, max_size=60).map(lambda keys: pa.array(keys, pa.large_binary())),
)


@given(
    keys=KEYS,
    chunk=st.integers(1, 60),
    run=st.integers(1, 60),
    chunks=st.integers(1, 9),
    shard=st.integers(1, 30),
    start=st.integers(0, 1),
)
def test_both_ways_write_the_same_rows(
    keys: pa.Array, chunk: int, run: int, chunks: int, shard: int, start: int
) -> None:
    """Whatever the keys, the chunks in which they lie, and how many rows are sorted at once or become a shard."""
    values = pa.array([None if n % 5 == 0 else n / 2 for n in range(len(keys))], pa.float32())
    rows = pa.table({"key": keys, "value": values, "flag": pa.array([n % 2 == 0 for n in range(len(keys))])})
    rows = rows[start:]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "SHARD_ROWS", shard)
        patch.setattr(unsorted_module, "_RUN_ROWS", run)
        patch.setattr(unsorted_module, "_MOST_CHUNKS", chunks)
        patch.setattr(load_module, "SEGMENT_BYTES", 100)
        memory, stream = Cache("memory", folder), Cache("stream", folder)

        memory.load(pa.Table.from_batches(rows.to_batches(max_chunksize=chunk), schema=rows.schema), key="key")
        stream.load(pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=chunk)), key="key")

        assert contents(memory).equals(contents(stream))
        asked = rows["key"].combine_chunks()
        assert rows["value"].to_pylist() == memory.get_many(asked)["value"].to_pylist()


def test_a_key_that_is_there_twice_is_named_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a chunk, and in two; in rows that are sorted at once, and in others."""
    monkeypatch.setattr(unsorted_module, "_RUN_ROWS", 10)
    cache = Cache("scores", tmp_path)

    for twice in (3, 17, 80):
        ids = pa.chunked_array([pa.array(range(40)), pa.array([*range(40, 99), twice])])
        with pytest.raises(DuplicateKeyError, match=f"key {twice}\\b"):
            cache.load(pa.table({"id": ids}), key="id")

    assert cache.versions() == []
    assert list((tmp_path / "scores" / "versions").iterdir()) == []


def test_categories_of_frames_are_values_and_keys(tmp_path: Path) -> None:
    """Those of Polars, which are dictionaries of views, at any depth, and those of pandas come back as texts."""
    kinds = {"id": pl.Categorical, "e": pl.Enum(["x", "y"]), "s": pl.Struct({"c": pl.Categorical})}
    frame = pl.DataFrame(
        {"id": ["a", "b"], "e": ["y", None], "s": [{"c": "p"}, None], "l": [["q", None], None]},
        schema={**kinds, "l": pl.List(pl.Categorical)},
    )
    cache = Cache("frames", tmp_path)

    cache.load(frame, key="id")
    cache.update(frame.tail(1).with_columns(e=pl.lit("x", pl.Enum(["x", "y"]))))

    assert cache.get("a") == {"id": "a", "e": "y", "s": {"c": "p"}, "l": ["q", None]}
    assert cache.get("b") == {"id": "b", "e": "x", "s": None, "l": None}
    cache.load(pd.DataFrame({"id": [1, 2], "c": pd.Categorical(["m", None])}), key="id")
    assert cache.get_many([1, 2])["c"].to_pylist() == ["m", None]
