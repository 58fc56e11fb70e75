"""Segments that need no merge become shards as they are; whatever they are, the version is that of all their rows."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lakeflow.cache.building.build as build_module
import lakeflow.cache.building.segment as segment_module
from lakeflow.cache import Cache, min_rows
from lakeflow.cache.building.adopt import spans
from lakeflow.cache.files.index import write_index
from lakeflow.cache.files.ranges import ALL_HASHES
from lakeflow.cache.keys.hashing import hash_key
from lakeflow.runs.outputs.sink import RunLabel
from lakeflow_io.errors import (
    CheckFailedError,
    CorruptFileError,
    DuplicateKeyError,
    ObjectNotFoundError,
    UnsupportedError,
)
from lakeflow_io.keyed.blocks import block_sums

if TYPE_CHECKING:
    from pathlib import Path

LABEL = RunLabel(run_id="run-1", plan_digest="d1", source=None, shards=1, rows_in=9, seconds=1.0)
BY_HASH = sorted(range(400), key=hash_key)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache without a version."""
    return Cache("scores", tmp_path)


def rows(ids: Any, **columns: Any) -> pa.Table:
    """Return rows whose value is ten times their id."""
    return pa.table({"id": pa.array(ids, pa.int64()), "value": [10 * n for n in ids], **columns})


def stage(cache: Cache, *parts: pa.Table) -> list[dict[str, Any]]:
    """Write parts as tasks do; what they say goes through a marker."""
    writer = cache.sink("id").writer()
    facts = [fact for number, part in enumerate(parts) for fact in writer.write(f"run-1-item-{number:05d}-a0", part)]
    return json.loads(json.dumps(facts))


def inodes(folder: Path) -> set[int]:
    """Return which files the payloads of a folder are."""
    return {path.stat().st_ino for path in folder.glob("*.arrow")}


def published(cache: Cache, staged: list[dict[str, Any]], tmp_path: Path) -> tuple[int, int]:
    """Publish; return how many shards are segments' files, and how many aren't."""
    before = inodes(tmp_path / "scores" / "staging")
    version = cache.sink("id").publish(LABEL, staged).id
    now = inodes(tmp_path / "scores" / "versions" / version)
    cache.verify()
    return len(now & before), len(now - before)


def test_a_segment_of_its_own_is_a_shard(cache: Cache, tmp_path: Path) -> None:
    """One task's file is the version's, by another name; the first one goes, and the facts are those of a merge."""
    cut = rows(BY_HASH)

    adopted = published(cache, stage(cache, cut), tmp_path)

    [facts] = cache._version().manifest.shards
    assert adopted == (1, 0)
    assert list((tmp_path / "scores" / "staging").iterdir()) == []
    assert (facts.rows, facts.owner) == (400, cache.version.id)
    assert (facts.first_hash, facts.last_hash) == (hash_key(BY_HASH[0]), hash_key(BY_HASH[-1]))
    merged = Cache("merged", tmp_path)
    merged.load(cut, key="id")
    assert [file.crc32 for file in merged._version().manifest.files] == [facts.payload.crc32, facts.index.crc32]


def test_what_was_split_by_hash_is_not_merged(cache: Cache, tmp_path: Path) -> None:
    """In whatever order tasks end; what overlaps is merged between its neighbours."""
    parts = [BY_HASH[300:], BY_HASH[:100], BY_HASH[100:250:2], BY_HASH[101:250:2], BY_HASH[250:300]]

    adopted = published(cache, stage(cache, *(rows(part) for part in parts)), tmp_path)

    assert adopted == (3, 1)
    assert [10 * n for n in range(400)] == cache.get_many(range(400))["value"].to_pylist()
    assert [facts.rows for facts in cache._version().manifest.shards] == [100, 150, 50, 100]


def test_many_small_ones_are_merged(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of a thousand files would take long to open; those that are worth a shard are shards in any case."""
    monkeypatch.setattr(build_module, "_FEW", 3)
    monkeypatch.setattr(build_module, "SHARD_ROWS", 200)
    parts = [BY_HASH[:20], BY_HASH[20:40], BY_HASH[40:240], BY_HASH[240:260], BY_HASH[260:400]]

    adopted = published(cache, stage(cache, *(rows(part) for part in parts)), tmp_path)

    assert adopted == (2, 2)
    assert [facts.rows for facts in cache._version().manifest.shards] == [40, 200, 20, 140]
    assert [10 * n for n in range(400)] == cache.get_many(range(400))["value"].to_pylist()


def test_a_segment_larger_than_a_shard_is_cut(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was written by a task that had another limit."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 300)

    adopted = published(cache, stage(cache, rows(BY_HASH)), tmp_path)

    assert adopted == (0, 2)
    assert [10 * n for n in range(400)] == cache.get_many(range(400))["value"].to_pylist()


def test_one_large_table_becomes_shards_where_it_is_written(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task cuts what it returns by hash, not by rows."""
    monkeypatch.setattr(segment_module, "_SEGMENT_ROWS", 150)

    adopted = published(cache, stage(cache, rows(range(400))), tmp_path)

    assert adopted[0] >= 3
    assert adopted[1] == 0
    assert [10 * n for n in range(400)] == cache.get_many(range(400))["value"].to_pylist()


def test_other_columns_are_brought_into_one_form(cache: Cache, tmp_path: Path) -> None:
    """A segment in which a column is all null, or stands elsewhere, isn't the version's shard as it is."""
    null = rows(BY_HASH[:200]).append_column("text", pa.nulls(200))
    text = rows(BY_HASH[200:]).append_column("text", pa.array(["a"] * 200)).select(["text", "id", "value"])

    adopted = published(cache, stage(cache, null, text), tmp_path)

    assert adopted == (0, 1)
    assert cache.get(BY_HASH[0]) == {"id": BY_HASH[0], "value": 10 * BY_HASH[0], "text": None}
    assert cache.get(BY_HASH[-1])["text"] == "a"


@pytest.mark.parametrize("last", [False, True], ids=["within one", "at a border"])
def test_a_key_that_is_there_twice_is_refused(cache: Cache, tmp_path: Path, *, last: bool) -> None:
    """Within a segment that would be a shard, and where one ends with the hash with which the next one begins."""
    twice = BY_HASH[200 if last else 0]
    staged = stage(cache, rows([*BY_HASH[:200], twice]), rows(BY_HASH[200:]))

    with pytest.raises(DuplicateKeyError, match=rf"key {twice}\b"):
        cache.sink("id").publish(LABEL, staged)

    assert cache.versions() == []
    assert len(inodes(tmp_path / "scores" / "staging")) == 2


def test_an_adopted_file_outlives_a_failed_publish(cache: Cache, tmp_path: Path) -> None:
    """What a check refuses leaves the segments as they were, for the next try."""
    staged = stage(cache, rows(BY_HASH))
    with pytest.raises(CheckFailedError):
        cache.sink("id", [min_rows(1000)]).publish(LABEL, staged)

    assert cache.versions() == []
    assert published(cache, staged, tmp_path) == (1, 0)


def damaged(path: Path, content: bytes) -> None:
    """Replace a file, as a disk or somebody else would."""
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["arrow", "idx"])
def test_a_segment_of_another_size_is_refused(cache: Cache, tmp_path: Path, kind: str) -> None:
    """As it is opened; nothing is published."""
    staged = stage(cache, rows(BY_HASH))
    [path] = (tmp_path / "scores" / "staging").glob(f"*.{kind}")
    damaged(path, path.read_bytes()[:-8])

    with pytest.raises(CorruptFileError, match="bytes"):
        cache.sink("id").publish(LABEL, staged)
    path.unlink()
    with pytest.raises(ObjectNotFoundError, match=path.name):
        cache.sink("id").publish(LABEL, staged)
    assert cache.versions() == []


@pytest.mark.parametrize("kind", ["arrow", "idx"])
def test_a_damaged_segment_is_not_published(cache: Cache, tmp_path: Path, kind: str) -> None:
    """One bit, wherever it is: neither by another name nor merged with a sound one."""
    staged = stage(cache, rows(BY_HASH[:300]), rows(BY_HASH[200:250:2]))
    path = tmp_path / "scores" / "staging" / staged[0]["path"].rpartition("/")[2].replace(".arrow", f".{kind}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    damaged(path, bytes(content))

    for some in (staged[:1], staged):
        with pytest.raises(CorruptFileError, match=rf"(?s){path.stem}.*another run id"):
            cache.sink("id").publish(LABEL, some)
    assert cache.versions() == []


def test_hashes_out_of_order_are_refused(cache: Cache, tmp_path: Path) -> None:
    """No look-up would find what they stand for."""
    staged = stage(cache, rows(BY_HASH))
    [path] = (tmp_path / "scores" / "staging").glob("*.idx")
    write_index(path, np.load(path)[::-1].copy(), block_sums(path.with_suffix(".arrow").read_bytes()))

    with pytest.raises(CorruptFileError, match="order"):
        cache.sink("id").publish(LABEL, staged)
    assert cache.versions() == []


def test_facts_about_hashes_are_not_believed(cache: Cache) -> None:
    """A marker that says that hashes lie elsewhere changes nothing: they are read from the file."""
    staged = stage(cache, rows(BY_HASH[:200]), rows(BY_HASH[100:]))
    for fact in staged:
        fact["shard"] |= {"first_hash": "f" * 16, "last_hash": "0", "owner": "../other"}

    with pytest.raises(DuplicateKeyError):
        cache.sink("id").publish(LABEL, staged)
    cache.sink("id").publish(LABEL, staged[:1])

    [facts] = cache._version().manifest.shards
    assert (facts.first_hash, facts.owner) == (hash_key(BY_HASH[0]), cache.version.id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shard": None},
        {"shard": {}},
        {"shard": {"rows": 1}},
        {"shard": {"payload": {"name": "x", "bytes": "many", "crc32": 0}}},
    ],
)
def test_facts_that_are_none_are_an_error(cache: Cache, wrong: dict[str, Any]) -> None:
    """It names the segment."""
    [fact] = stage(cache, rows(BY_HASH))
    fact["shard"] = (
        {**fact["shard"], **wrong["shard"]} if wrong["shard"] and "payload" in wrong["shard"] else wrong["shard"]
    )

    with pytest.raises(CorruptFileError, match=r"run-1-item-00000-a0-\w+\.arrow"):
        cache.sink("id").publish(LABEL, [fact])


def test_what_an_earlier_lakeflow_wrote_is_to_be_written_again(cache: Cache) -> None:
    """A run that is resumed finds what its tasks said then; the error says what helps."""
    [fact] = stage(cache, rows(BY_HASH))
    del fact["shard"]

    with pytest.raises(UnsupportedError, match="another run id"):
        cache.sink("id").publish(LABEL, [fact])


def test_facts_name_files_among_the_segments_only(cache: Cache, tmp_path: Path) -> None:
    """However a path is written, and whatever names the facts of a shard have."""
    [fact] = stage(cache, rows(BY_HASH))
    for name in ("outside.arrow", "outside.idx"):
        (tmp_path / "scores" / name).touch()
    fact["shard"]["payload"]["name"] = "../outside.arrow"

    cache.sink("id").writer().discard([{"path": f"{tmp_path.as_uri()}/scores/staging/..%2Foutside.arrow"}])
    cache.sink("id").publish(LABEL, [fact])

    assert (tmp_path / "scores" / "outside.arrow").exists()
    assert cache.get(7) == {"id": 7, "value": 70}


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=5).map(sorted), max_size=12),
    st.sets(st.integers(0, 11)),
    st.integers(0, 4),
)
def test_spans_cover_all_and_never_split_a_hash(segments: list[list[int]], usable: set[int], few: int) -> None:
    """Each row lies in one span; a segment that is adopted is all that lies in its own."""
    hashes = [np.array(each, dtype=np.uint64) for each in segments]

    found = list(spans(hashes, usable.__contains__, lambda number: len(segments[number]) > 3, few))

    assert [0, *(end for _, end, _ in found)][: len(found)] == [least for least, _, _ in found]
    assert not found or found[-1][1] == ALL_HASHES
    assert bool(found) == any(segments)
    for least, end, number in found:
        inside = [n for n, each in enumerate(segments) if any(least <= value < end for value in each)]
        assert inside
        if number is not None:
            assert inside == [number]
            assert number in usable
            assert all(least <= value < end for value in segments[number])


@given(
    st.lists(st.integers(0, 3000), unique=True, min_size=1, max_size=80),
    st.lists(st.integers(0, 79), max_size=6),
    st.integers(0, 3),
    st.integers(5, 100),
    st.integers(2, 60),
)
def test_a_version_is_that_of_its_rows(ids: list[int], cuts: list[int], few: int, shard: int, segment: int) -> None:
    """However rows that are ordered by hash, or some of them, come to tasks."""
    ordered = sorted(ids, key=hash_key)
    bounds = [0, *sorted(cuts), len(ordered)]
    parts = [ordered[start:end] for start, end in pairwise(bounds)]
    parts[0], parts[-1] = [*parts[0][::2], *parts[-1][1::2]], [*parts[-1][::2], *parts[0][1::2]]
    if len(parts) == 1:
        parts = [ordered]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "_FEW", few)
        patch.setattr(build_module, "SHARD_ROWS", shard)
        patch.setattr(segment_module, "_SEGMENT_ROWS", segment)
        cache = Cache("scores", folder)
        cache.sink("id").publish(LABEL, stage(cache, *(rows(part) for part in parts)))
        cache.verify()

        assert len(cache) == len(ids)
        assert [10 * n for n in ids] == cache.get_many(ids)["value"].to_pylist()
        assert all(cache.get(n) == {"id": n, "value": 10 * n} for n in ids[:5])
        assert {value.item() for shard in cache._version().shards for value in shard.whole().hashes} == set(
            map(hash_key, ids)
        )
