"""Versions: what a publish leaves, who sees it and when, and the way back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import lakeflow as lf
import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache, CacheVersion
from lakeflow.cache.files.manifest import read_manifest
from lakeflow.cache.files.pointer import Pointer, read_consistently, read_pointer
from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHES = 20
ROWS = 300
PUBLISHER = f"""
import sys
import pyarrow as pa
from lakeflow.cache import Cache, CacheVersion
from lakeflow.cache.files.manifest import read_manifest
from lakeflow.cache.files.pointer import Pointer, read_consistently
cache = Cache("scores", sys.argv[1])
for number in range(1, {PUBLISHES} + 1):
    columns = {{"id": range({ROWS}), "version": [number] * {ROWS}, "text": [str(number) * 50] * {ROWS}}}
    cache.load(pa.table(columns), key="id", run_id=f"run-{{number}}")
"""


def version_table(number: int, rows: int = 10) -> pa.Table:
    """Return rows that all carry the number of their version."""
    return pa.table({"id": range(rows), "version": [number] * rows})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache without a version."""
    return Cache("scores", tmp_path)


def test_a_reader_follows_publishes_without_a_restart(cache: Cache, tmp_path: Path) -> None:
    """An object that has read sees what another one publishes and rolls back, at its next request."""
    reader = Cache("scores", tmp_path)
    seen = []

    for number in (1, 2):
        cache.load(version_table(number), key="id")
        seen.append(reader.get(3)["version"])
    cache.rollback()
    seen.append(reader.get(3)["version"])

    assert seen == [1, 2, 1]


def test_concurrent_readers_see_whole_versions(cache: Cache, tmp_path: Path) -> None:
    """While another process publishes 20 versions and removes 17, every request sees one version, whole."""
    cache.load(version_table(0, ROWS), key="id")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER, str(tmp_path)], env=environment)
    done = threading.Event()

    def read() -> list[set[int]]:
        reader = Cache("scores", tmp_path)
        seen = []
        while True:
            last = done.is_set()
            rows = reader.get_many(range(ROWS))
            row = reader.get(7)
            assert row.get("text", "0" * 50) == str(row["version"]) * 50
            seen.append(set(rows["version"].to_pylist()))
            if last:
                return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        exit_code = publisher.wait()
        done.set()
    histories = [reader.result() for reader in readers]

    assert exit_code == 0
    for history in histories:
        numbers = [number for versions in history for number in versions]
        assert {1} == {len(versions) for versions in history}
        assert sorted(numbers) == numbers
        assert numbers[-1] == PUBLISHES


def test_two_publishers_take_turns(cache: Cache, tmp_path: Path) -> None:
    """Publishers that run at once all succeed; the versions that are left are whole, one of them current."""

    def publish(worker: int) -> list[str]:
        mine = Cache("scores", tmp_path)
        return [mine.load(version_table(worker), key="id").id for _ in range(4)]

    with ThreadPoolExecutor(3) as pool:
        ids = {version for worker in pool.map(publish, range(3)) for version in worker}

    versions = cache.versions()
    assert len(ids) == 12
    assert len(versions) == 3
    assert {version.id for version in versions} <= ids
    assert [version.current for version in versions] == [False, False, True]
    for version in versions:
        assert cache.at(version.id).verify() == version


def test_one_run_publishes_once(cache: Cache, tmp_path: Path) -> None:
    """A run id that was published is returned as it is, also where several raced to it."""
    first = cache.load(version_table(1), key="id", run_id="r", source="kg.titles@17")

    def load(name: str, number: int) -> CacheVersion:
        return Cache(name, tmp_path).load(version_table(number), key="id", run_id="r")

    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(load, ["scores"] * 3, range(3)))
        racers = list(pool.map(load, ["other"] * 3, range(3)))

    assert [first] * 3 == again
    assert (first.source, first.run_id, first.current) == ("kg.titles@17", "r", True)
    assert 1 == len({version.id for version in racers}) == len(Cache("other", tmp_path).versions())


def test_old_versions_are_removed(tmp_path: Path) -> None:
    """A publish keeps as many versions as asked, on disk and in the list, the newest last."""
    cache = Cache("scores", tmp_path, keep=2)
    ids = [cache.load(version_table(number), key="id").id for number in range(4)]

    assert ids[-2:] == [version.id for version in cache.versions()]
    assert set(ids[-2:]) == {folder.name for folder in (tmp_path / "scores" / "versions").iterdir()}


def test_rollback_steps_back_and_names_versions(cache: Cache) -> None:
    """Without a name a rollback goes one version back, until there is none; with one it goes anywhere."""
    ids = [cache.load(version_table(number), key="id").id for number in range(3)]

    assert ids[1] == cache.rollback().id
    assert ids[0] == cache.rollback().id
    with pytest.raises(NotFoundError, match="no version before"):
        cache.rollback()
    assert cache.rollback(ids[2]).current
    assert cache.get(0)["version"] == 2


@pytest.mark.parametrize("name", ["nope", "../../other", ""])
def test_unknown_versions_are_not_found(cache: Cache, name: str) -> None:
    """A name that isn't a published version is refused before any file is touched."""
    cache.load(version_table(1), key="id")

    with pytest.raises(NotFoundError):
        cache.rollback(name)
    with pytest.raises(NotFoundError):
        cache.at(name)


def test_a_publish_after_a_rollback_is_current(cache: Cache) -> None:
    """A rollback doesn't hold later versions up, and the version it skipped stays in the list."""
    ids = [cache.load(version_table(number), key="id").id for number in range(2)]
    cache.rollback()

    ids.append(cache.load(version_table(2), key="id").id)

    assert ids == [version.id for version in cache.versions()]
    assert cache.version.id == ids[2]


def test_a_pinned_view_stays(cache: Cache) -> None:
    """A view of a version reads it through publishes, and to the end once it has read from it."""
    pinned = cache.at(cache.load(version_table(0), key="id").id)
    seen = []

    for number in range(1, 5):
        seen.append(pinned.get(1)["version"])
        cache.load(version_table(number), key="id")

    assert seen == [0] * 4
    assert pinned.get(1) == {"id": 1, "version": 0}
    assert pinned.version.id not in [version.id for version in cache.versions()]
    assert not pinned.version.current


def test_a_version_removed_while_it_is_opened(tmp_path: Path) -> None:
    """A reader whose version goes between the pointer and its files reads the pointer again."""
    cache = Cache("scores", tmp_path, keep=1)
    cache.load(version_table(0), key="id")
    tried = []

    def read(pointer: Pointer | None) -> str:
        assert pointer is not None
        tried.append(pointer.version)
        if len(tried) == 1:
            cache.load(version_table(1), key="id")
        return read_manifest(tmp_path / "scores" / "versions" / pointer.version).version

    version = read_consistently(partial(read_pointer, tmp_path / "scores" / "CURRENT"), read)

    assert version == cache.version.id
    assert len(set(tried)) == 2


def test_a_removed_version_is_still_read(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are deleted under an open view keep serving it, every shard of them."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 3)
    pinned = cache.at(cache.load(version_table(0), key="id").id)
    pinned.get(0)

    for file in (tmp_path / "scores" / "versions" / pinned.version.id).iterdir():
        file.unlink()

    assert pinned.get_many(range(10))["version"].to_pylist() == [0] * 10
    assert [{"id": n, "version": 0} for n in range(10)] == [pinned.get(n) for n in range(10)]


def test_every_pointer_has_its_own_stamp(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that stands still the pointer's modification time still grows, so no publish is missed."""
    monkeypatch.setattr("lakeflow.cache.files.pointer.time.time_ns", lambda: 1_700_000_000_000_000_000)
    path = tmp_path / "scores" / "CURRENT"
    stamps = []

    for number in range(3):
        cache.load(version_table(number), key="id")
        stamps.append(path.stat().st_mtime_ns)
        assert cache.get(0)["version"] == number

    assert [1_700_000_000_000_000_000 + tick for tick in range(3)] == stamps


def test_a_run_says_what_computed_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table and its snapshot, the run, the function and its code, which is another when the function is."""
    monkeypatch.chdir(tmp_path)
    table = lf.connect().create_table("kg.titles", pa.schema([("id", pa.int64())]))
    table.append(pa.table({"id": [1, 2, 3]}))
    cache = Cache("scores", tmp_path / "caches")

    def score(rows: pa.Table) -> pa.Table:
        return rows

    def rank(rows: pa.Table) -> pa.Table:
        return rows.select(["id"])

    origins = []
    for run_id, function in (("r-1", score), ("r-2", rank), ("r-3", rank)):
        lf.precompute(table.scan(), function, cache=cache, key="id", run_id=run_id, engine="serial")
        origins.append(cache._version().manifest.origin)

    names = [origin.function.rpartition(".")[2] for origin in origins if origin.function]
    assert [origin.run_id for origin in origins] == ["r-1", "r-2", "r-3"]
    assert {origin.source for origin in origins} == {f"kg.titles@{table.scan().snapshot_id}"}
    assert names == ["score", "rank", "rank"]
    assert origins[0].code != origins[1].code == origins[2].code


def test_the_manifest_tells_where_a_version_came_from(cache: Cache, tmp_path: Path) -> None:
    """Counts, checksums, columns and origin are readable without lakeflow; CURRENT names the version."""
    version = cache.load(version_table(1), key="id", run_id="r-1", source="kg.titles@17")

    manifest = json.loads((tmp_path / "scores" / "versions" / version.id / "manifest.json").read_text())
    pointer = json.loads((tmp_path / "scores" / "CURRENT").read_text())

    expected = {"format": 2, "version": version.id, "rows": 10, "key": "id", "run_id": "r-1"}
    assert expected == {name: manifest[name] for name in expected}
    assert manifest["source"] == "kg.titles@17"
    assert manifest["columns"] == {"id": "int64", "version": "int64"}
    assert manifest["created"].endswith("+00:00")
    assert [manifest["shards"][0][f]["name"] for f in ("payload", "index")] == [
        "shard-0000.arrow",
        "shard-0000.idx",
    ]
    assert (1, version.id) == (pointer["format"], pointer["version"])


def test_an_error_of_the_stream_is_the_callers(cache: Cache, tmp_path: Path) -> None:
    """An exception that the caller's batches raise arrives as it is, and nothing is left behind."""

    def batches() -> object:
        yield version_table(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.load(batches(), key="id")
    assert list((tmp_path / "scores" / "versions").iterdir()) == []
    with pytest.raises(InputError):
        cache.get(1)
