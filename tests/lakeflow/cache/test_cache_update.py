"""Updates: a version that is the one before with some rows changed, and what of it is written at all."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow as lf
import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache, OpenVersion, min_rows
from lakeflow_io.errors import (
    CheckFailedError,
    CorruptFileError,
    DuplicateKeyError,
    InputError,
    NotFoundError,
    SchemaError,
)

ROWS = 100


def rows_of(rows: dict[int, int]) -> pa.Table:
    """Return rows of `id` and `n`."""
    return pa.table({"id": pa.array(rows.keys(), pa.int64()), "n": pa.array(rows.values(), pa.int64())})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return a cache of a hundred rows in some ten shards, and room to keep versions."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 15)
    cache = Cache("scores", tmp_path, keep=9)
    cache.load(rows_of(dict.fromkeys(range(ROWS), 0)), key="id")
    return cache


def files(cache: Cache, version: str | None = None) -> dict[str, int]:
    """Return the inode of each file of a version."""
    folder = Path(cache.root) / cache.name / "versions" / (version or cache.version.id)
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


def content(cache: Cache) -> dict[int, int]:
    """Return all rows of the current version, as a scan of its shards and as look-ups give them."""
    opened = cache._version()
    rows = {row["id"]: row["n"] for batch in opened.batches() for row in batch.to_pylist()}
    assert rows == {key: cache.get(key)["n"] for key in rows}
    assert len(rows) == len(cache)
    return rows


CHANGES = st.tuples(
    st.dictionaries(st.integers(0, 40), st.integers(0, 9), max_size=8), st.lists(st.integers(0, 40), max_size=8)
)


@pytest.mark.parametrize("shard_rows", [1, 7])
def test_updates_are_those_of_a_dict(shard_rows: int) -> None:
    """Any history of upserts and deletes, from any beginning, an empty one included, leaves what a dict has."""

    @settings(max_examples=6, deadline=None)
    @given(
        begin=st.dictionaries(st.integers(0, 40), st.integers(0, 9), max_size=20), history=st.lists(CHANGES, max_size=4)
    )
    def check(begin: dict[int, int], history: list[tuple[dict[int, int], list[int]]]) -> None:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(build_module, "SHARD_ROWS", shard_rows)
            cache = Cache("scores", folder)
            cache.load(rows_of(begin), key="id")
            now = dict(begin)
            for upserts, deletes in history:
                before, old = dict(now), cache.version.id
                now = {key: n for key, n in now.items() if key not in deletes} | upserts

                version = cache.update(rows_of(upserts), delete=deletes)

                assert now == content(cache)
                assert cache.verify() == version
                changed = cache.diff(old).read_all().to_pylist()
                assert {row["id"] for row in changed} == {
                    key for key in before.keys() | now.keys() if before.get(key) != now.get(key)
                }

    check()


def test_shards_that_do_not_change_are_not_written(cache: Cache) -> None:
    """One row changes one shard; the files of the others are the same ones, and the manifest says whose."""
    first = cache.version
    before = files(cache)

    version = cache.update(rows_of({7: 1}))

    after = files(cache)
    manifest = json.loads((Path(cache.root) / "scores" / "versions" / version.id / "manifest.json").read_text())
    owners = [shard["owner"] for shard in manifest["shards"]]
    written = set(after.values()) - set(before.values())
    assert (owners.count(version.id), len(owners)) == (1, owners.count(first.id) + 1)
    assert len(written) == 3  # a payload, its index and the manifest
    assert (first.reused_bytes, version.bytes - version.reused_bytes < version.bytes / 4) == (0, True)
    assert content(cache) == dict.fromkeys(range(ROWS), 0) | {7: 1}


@pytest.mark.parametrize("delete", [[], [1000, 2000]])
def test_an_update_without_a_change_writes_no_shard(cache: Cache, delete: list[int]) -> None:
    """Keys that aren't there, and no keys: a new version all the same, of the same files."""
    before = files(cache)

    version = cache.update(delete=delete)

    assert {name: inode for name, inode in files(cache).items() if name != "manifest.json"} == {
        name: inode for name, inode in before.items() if name != "manifest.json"
    }
    assert version.reused_bytes == version.bytes
    assert cache.diff(cache.versions()[0].id).read_all().num_rows == 0


def test_shards_are_shared_over_many_versions(cache: Cache) -> None:
    """The owner stays the version that wrote a shard, whatever number of versions have linked it since."""
    first = cache.version.id
    for number in range(1, 5):
        cache.update(rows_of({number: number}))

    owners = [facts.owner for facts in cache._version().manifest.shards]

    assert first in owners
    assert set(owners) <= {version.id for version in cache.versions()}
    assert content(cache) == dict.fromkeys(range(ROWS), 0) | {number: number for number in range(1, 5)}


def test_gc_counts_who_needs_a_file(cache: Cache, tmp_path: Path) -> None:
    """Removing a version frees what no other has; the next one is read in full, also when it is the last."""
    first = cache.version
    cache.update(rows_of({7: 1}))
    old, new = files(cache, first.id), files(cache)
    folder = tmp_path / "scores" / "versions" / first.id
    alone = sum((folder / name).stat().st_size for name, inode in old.items() if inode not in new.values())
    before = cache.stats().disk_bytes

    collected = Cache("scores", tmp_path, keep=1).gc()

    assert (first.id,) == collected.versions
    assert alone == collected.bytes
    pointer = 200  # CURRENT has become shorter
    assert before - alone - pointer < cache.stats().disk_bytes <= before - alone
    assert cache.verify() == cache.version
    assert content(cache) == dict.fromkeys(range(ROWS), 0) | {7: 1}


def test_all_rows_may_go(cache: Cache) -> None:
    """A version without rows or shards keeps its columns, and takes rows again."""
    cache.update(delete=range(ROWS))

    assert len(cache) == 0
    assert files(cache).keys() == {"manifest.json"}
    cache.update(rows_of({5: 5}), delete=[5])
    assert content(cache) == {5: 5}


def test_shards_that_grow_are_cut(cache: Cache) -> None:
    """New rows don't make a shard larger than one of a build."""
    cache.update(rows_of(dict.fromkeys(range(ROWS, 5 * ROWS), 1)))

    assert max(facts.rows for facts in cache._version().manifest.shards) <= 15
    assert len(cache) == 5 * ROWS


def test_composite_keys_are_updated(tmp_path: Path) -> None:
    """Tuples are upserted and deleted as other keys are."""
    cache = Cache("pairs", tmp_path)
    cache.load(pa.table({"u": ["a", "a", "b"], "i": [1, 2, 1], "n": [0, 0, 0]}), key=["u", "i"])

    cache.update(pa.table({"n": [5], "i": [2], "u": ["a"]}), delete=[("b", 1), ("b", 7)])

    assert cache.get_many([("a", 1), ("a", 2), ("b", 1)])["n"].to_pylist() == [0, 5, None]


def test_the_columns_of_the_version_stay(tmp_path: Path) -> None:
    """Types that lose nothing are cast: nulls, narrower and wider numbers, other strings; the rest is refused."""
    cache = Cache("scores", tmp_path)
    cache.load(
        pa.table({"id": pa.array([1], pa.int32()), "x": [0.5], "s": ["a"], "d": pa.array([b"x"], pa.binary())}),
        key="id",
    )
    row = {"id": pa.array([2], pa.int64()), "x": [1], "s": pa.array(["b"], pa.string_view()), "d": pa.nulls(1)}

    cache.update(pa.table(row))

    assert cache.get(2) == {"id": 2, "x": 1.0, "s": "b", "d": None}
    for change, said in [
        ({"x": ["1"]}, "'x' is string"),
        ({"s": [1]}, "'s' is int64"),
        ({"id": pa.array([2**40])}, "doesn't fit"),
        ({"id": pa.array([1.0])}, "can't be a key"),
        ({"id": pa.array([None], pa.int64())}, "null"),
        ({"x": [2**60 + 1]}, "doesn't fit"),
        ({"new": [1]}, "columns"),
    ]:
        with pytest.raises(SchemaError, match=said):
            cache.update(pa.table({**row, **change}))
    with pytest.raises(SchemaError, match="columns"):
        cache.update(pa.table({"id": [1]}))
    assert len(cache.versions()) == 2


def test_an_update_refuses_what_it_cannot_do(cache: Cache, tmp_path: Path) -> None:
    """Nothing to do, no version, keys of another type, one key twice, a check that fails: the old version stays."""
    before = cache.versions()

    with pytest.raises(InputError, match="rows or keys"):
        cache.update()
    with pytest.raises(NotFoundError):
        Cache("other", tmp_path).update(delete=[1])
    with pytest.raises(SchemaError):
        cache.update(delete=["1"])
    with pytest.raises(DuplicateKeyError, match="200"):
        cache.update([rows_of({200: 1}), rows_of({200: 2})])
    with pytest.raises(CheckFailedError):
        cache.update(delete=[1], checks=[min_rows(ROWS)])
    assert before == cache.versions()
    assert [before[0].id] == [path.name for path in (tmp_path / "scores" / "versions").iterdir()]


def test_one_run_updates_once(cache: Cache) -> None:
    """The same run id again is a no-op, whatever it brings."""
    first = cache.update(rows_of({1: 5}), run_id="r", source="kg.titles@17")

    assert first == cache.update(rows_of({1: 6}), run_id="r")
    assert cache.get(1) == {"id": 1, "n": 5}
    assert (first.run_id, first.source) == ("r", "kg.titles@17")


def test_updates_at_once_all_count(cache: Cache, tmp_path: Path) -> None:
    """Each is made to what the others published: no row of any is lost."""

    def work(worker: int) -> None:
        mine = Cache("scores", tmp_path, keep=2)
        for number in range(3):
            mine.update(rows_of({1000 + worker * 10 + number: worker}), delete=[worker * 10 + number])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))

    gone = {worker * 10 + number for worker in range(3) for number in range(3)}
    came = {1000 + worker * 10 + number: worker for worker in range(3) for number in range(3)}
    assert content(cache) == {key: 0 for key in range(ROWS) if key not in gone} | came
    assert cache.verify() == cache.version
    assert len(list((tmp_path / "scores" / "versions").iterdir())) == len(cache.versions())


@pytest.mark.parametrize("keep", [1, 9])
def test_an_update_is_made_to_what_came_between(cache: Cache, tmp_path: Path, keep: int) -> None:
    """Also where the version that it began with was removed; from a stream that can be read only once."""
    seen: list[int] = []

    def check(new: OpenVersion, old: OpenVersion | None) -> None:
        assert old is not None
        seen.append(new.rows)
        if len(seen) == 1:
            Cache("scores", tmp_path, keep=keep).update(rows_of({501: 1}))

    stream = pa.RecordBatchReader.from_batches(rows_of({}).schema, iter(rows_of({502: 2}).to_batches()))
    cache.update(stream, delete=(key for key in [3]), checks=[check])

    assert seen == [ROWS, ROWS + 1]
    assert content(cache) == {key: 0 for key in range(ROWS) if key != 3} | {501: 1, 502: 2}


def test_a_base_that_goes_before_its_files_are_linked(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update begins again on the version that took its place."""
    link, links = os.link, []

    def slow(source: Path, target: Path) -> None:
        links.append(source)
        if len(links) == 2:
            Cache("scores", tmp_path, keep=1).load(rows_of({1: 1, 2: 2}), key="id")
        link(source, target)

    monkeypatch.setattr("lakeflow.cache.files.durable.os.link", slow)

    cache.update(rows_of({3: 3}))

    assert content(cache) == {1: 1, 2: 2, 3: 3}


def test_other_columns_that_came_between_stop_an_update(cache: Cache, tmp_path: Path) -> None:
    """Rows that were made for one set of columns aren't forced into another."""

    def check(*_: object) -> None:
        Cache("scores", tmp_path).load(pa.table({"id": [1], "other": [1]}), key="id")

    with pytest.raises(SchemaError, match="'other'"):
        cache.update(rows_of({1: 1}), checks=[check])
    assert cache.get(1) == {"id": 1, "other": 1}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EXDEV])
def test_files_are_copied_where_there_are_no_links(cache: Cache, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """On a file system without hard links, or with too many names of one file already."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("lakeflow.cache.files.durable.os.link", refuse)
    before = files(cache)

    cache.update(rows_of({7: 1}))

    assert not set(before.values()) & set(files(cache).values())
    assert cache.verify() == cache.version
    assert content(cache) == dict.fromkeys(range(ROWS), 0) | {7: 1}


def test_damage_is_not_written_again(cache: Cache, tmp_path: Path) -> None:
    """A damaged shard isn't merged into one whose checksum would then fit it."""
    manifest = cache._version().manifest
    place = next(n for n, batch in enumerate(cache._version().batches()) if 7 in batch["id"].to_pylist())
    payload = tmp_path / "scores" / "versions" / manifest.version / f"shard-{place:04d}.arrow"
    damaged = bytearray(payload.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    payload.write_bytes(damaged)

    with pytest.raises(CorruptFileError, match=payload.name):
        Cache("scores", tmp_path).update(rows_of({7: 1}))
    assert cache.version.id == manifest.version


def test_manifests_without_owners_are_read(cache: Cache, tmp_path: Path) -> None:
    """As they were written before there were updates: the version wrote all of its shards."""
    path = tmp_path / "scores" / "versions" / cache.version.id / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text())
    for shard in manifest["shards"]:
        del shard["owner"]
    path.write_text(json.dumps(manifest))

    fresh = Cache("scores", tmp_path)

    assert fresh.version.reused_bytes == 0
    assert fresh.update(delete=[]).reused_bytes == fresh.version.bytes


def test_a_precomputation_can_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over what came to a table since the last run: the function sees those rows alone; a rerun is a no-op."""
    monkeypatch.chdir(tmp_path)
    table = lf.connect().create_table("kg.titles", pa.schema([("id", pa.int64())]))
    seen, cache = table.append(pa.table({"id": [1, 2]})), lf.Cache("scores")

    def score(rows: pa.Table) -> pa.Table:
        return rows.append_column("of", pa.array([rows.num_rows] * rows.num_rows))

    lf.precompute(table.scan(), score, cache=cache, key="id", run_id="first", engine="serial")
    table.append(pa.table({"id": [2, 3, 4]}))
    since = table.changes(since=seen.id)
    run, again = (
        lf.precompute(since, score, cache=cache, key="id", run_id="second", engine="serial", update=True)
        for _ in range(2)
    )

    assert (run.version_id, run.rows, again.version_id, again.ran) == (cache.version.id, 4, run.version_id, 0)
    assert cache.get_many([1, 2, 3, 4])["of"].to_pylist() == [2, 3, 3, 3]
