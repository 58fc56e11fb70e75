"""A builder that dies, at any step, or runs out of space, leaves the old version served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache
from lakeflow_io.errors import AccessDeniedError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KILLED = 9
FORKING = f"""
import importlib, json, os, sys, traceback
import pyarrow as pa
from lakeflow.cache import Cache
for line in sys.stdin:
    folder, action, module, name = json.loads(line)
    child = os.fork()
    if not child:
        try:
            owner = importlib.import_module(module)
            for part in name.split(".")[:-1]:
                owner = getattr(owner, part)
            setattr(owner, name.split(".")[-1], lambda *_, **__: os._exit({KILLED}))
            exec(action)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
LOAD = 'Cache("scores", folder).load(pa.table({"id": [1], "version": [2]}), key="id", run_id="new")'
UPDATE = 'Cache("scores", folder).update(pa.table({"id": [1], "version": [2]}), delete=[2], run_id="new")'
COLLECT = 'Cache("scores", folder, keep=1).gc()'
STREAM = """
import lakeflow.cache.building.load
lakeflow.cache.building.load.SEGMENT_BYTES = 1
rows = [pa.table({"id": range(n, n + size), "version": [2] * size}) for n in (1, 101)]
Cache("scores", folder).load(iter(rows), key="id", run_id="new")
"""
APART, MIXED = f"size = 1{STREAM}", f"size = 100{STREAM}"
STREAM_STEPS = {
    "before the first segment": (APART, "lakeflow.cache.building.segment", "write_shard"),
    "after the segments": (APART, "lakeflow.cache.building.load", "build"),
    "before a segment becomes a shard": (APART, "lakeflow.cache.files.durable", "os.link"),
    "in the middle of a merge": (MIXED, "lakeflow.cache.building.build", "write_shard"),
    "when the segments go": (MIXED, "lakeflow.cache.building.load", "shutil.rmtree"),
}
STEPS = {
    "before the first segment": ("lakeflow.cache.building.segment", "write_shard"),
    "after the segments": ("lakeflow.cache.building.load", "build"),
    "in the middle of a merge": ("lakeflow.cache.building.build", "write_shard"),
    "when the segments go": ("lakeflow.cache.building.load", "shutil.rmtree"),
}
STEPS = {
    "before the first shard": ("lakeflow.cache.building.load", "build_table"),
    "in the middle of a shard": ("lakeflow.cache.files.index", "np.save"),
    "before the manifest": ("lakeflow.cache.publishing.publish", "_read_back"),
    "while the manifest is written": ("lakeflow.cache.files.manifest", "Manifest.to_json"),
    "while checks run": ("lakeflow.cache.publishing.publish", "run_checks"),
    "before CURRENT is written": ("lakeflow.cache.local", "write_pointer"),
    "before CURRENT is replaced": ("lakeflow.cache.files.durable", "os.utime"),
}
UPDATE_STEPS = {
    "after the segments": ("lakeflow.cache.building.update", "rebuild"),
    "before a link": ("lakeflow.cache.files.durable", "os.link"),
    "in the middle of a shard": ("lakeflow.cache.files.index", "np.save"),
    "before CURRENT is replaced": ("lakeflow.cache.files.durable", "os.utime"),
}
COLLECTION_STEPS = {
    "before CURRENT is replaced": ("lakeflow.cache.files.durable", "os.utime"),
    "at the beginning": ("lakeflow.cache.local", "sweep"),
    "when a folder goes": ("lakeflow.cache.publishing.claim", "shutil.rmtree"),
    "within a folder": ("shutil", "os.rmdir"),
}
SMALL_LIMIT = """
import resource, sys
import pyarrow as pa
from lakeflow.cache import Cache
from lakeflow_io.errors import StoreFullError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    Cache("scores", sys.argv[1]).load(pa.table({"id": range(50_000)}), key="id")
except StoreFullError as error:
    print(error)
"""


def load(folder: Path, number: int, rows: int = 1) -> Cache:
    """Publish rows that carry the number of their version."""
    cache = Cache("scores", folder)
    cache.load(pa.table({"id": range(1, rows + 1), "version": [number] * rows}), key="id")
    return cache


@pytest.fixture(scope="module")
def killed() -> Iterator[Callable[..., bool]]:
    """Do something with the caches of a folder in a process that dies where it comes to a step; whether it did.

    One process imports what is needed, and forks for each call.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FORKING]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        asked, answers = server.stdin, server.stdout

        def kill(folder: Path, action: str, step: tuple[str, str]) -> bool:
            print(json.dumps([str(folder), action, *step]), file=asked, flush=True)
            return int(answers.readline()) == KILLED

        yield kill
        asked.close()


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in another process that imports what this one does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_build_changes_nothing(step: str, killed: Callable[..., bool], tmp_path: Path) -> None:
    """A process killed there leaves the old version, in full; the next build clears up and publishes."""
    cache = load(tmp_path, 1)
    before = cache.versions()

    died = killed(tmp_path, LOAD, STEPS[step])

    assert died
    assert before == cache.versions()
    assert cache.get(1) == {"id": 1, "version": 1}
    again = cache.load(pa.table({"id": [1], "version": [2]}), key="id", run_id="new")
    assert cache.get(1) == {"id": 1, "version": 2}
    assert {before[0].id, again.id} == {path.name for path in (tmp_path / "scores" / "versions").iterdir()}


@pytest.mark.parametrize("step", STREAM_STEPS)
def test_a_killed_load_of_a_stream_changes_nothing(step: str, killed: Callable[..., bool], tmp_path: Path) -> None:
    """Its segments lie in the folder that the next publish removes."""
    cache = load(tmp_path, 1)

    action, *place = STREAM_STEPS[step]
    died = killed(tmp_path, action, (place[0], place[1]))

    assert died
    assert cache.get(1) == {"id": 1, "version": 1}
    load(tmp_path, 2)
    assert {each.id for each in cache.versions()} == {
        path.name for path in (tmp_path / "scores" / "versions").iterdir()
    }


def test_a_publish_that_died_after_the_switch_counts(killed: Callable[..., bool], tmp_path: Path) -> None:
    """Once CURRENT is replaced the version is published: it is read, and the run isn't run again."""
    cache = load(tmp_path, 1)

    died = killed(tmp_path, LOAD, ("lakeflow.cache.local", "sweep"))

    assert died
    assert cache.get(1) == {"id": 1, "version": 2}
    assert cache.load(pa.table({"id": [7]}), key="id", run_id="new") == cache.version


@pytest.mark.parametrize("step", UPDATE_STEPS)
def test_a_killed_update_changes_nothing(
    step: str, killed: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that it shares files with is whole; the next update clears up and publishes."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 10)
    cache = load(tmp_path, 1, rows=40)
    before = cache.version

    died = killed(tmp_path, UPDATE, UPDATE_STEPS[step])

    assert died
    assert [before] == cache.versions()
    assert cache.verify() == before
    again = cache.update(pa.table({"id": [1], "version": [2]}), delete=[2], run_id="new")
    assert {before.id, again.id} == {path.name for path in (tmp_path / "scores" / "versions").iterdir()}
    assert [2, None, *[1] * 38] == cache.get_many(range(1, 41))["version"].to_pylist()
    assert cache.verify() == again


def test_an_update_that_died_after_the_switch_counts(killed: Callable[..., bool], tmp_path: Path) -> None:
    """Once CURRENT is replaced it is read, and made no second time."""
    cache = load(tmp_path, 1, rows=2)

    died = killed(tmp_path, UPDATE, ("lakeflow.cache.local", "sweep"))

    assert died
    assert [cache.get(1), cache.get(2)] == [{"id": 1, "version": 2}, None]
    assert cache.update(pa.table({"id": [7], "version": [7]}), run_id="new") == cache.version
    assert len(cache) == 1


@pytest.mark.parametrize("step", COLLECTION_STEPS)
def test_a_killed_collection_leaves_whole_versions(step: str, killed: Callable[..., bool], tmp_path: Path) -> None:
    """What is listed can be read in full; the next collection removes what is left of the others."""
    for number in (1, 2, 3):
        cache = load(tmp_path, number)
    current = cache.version.id

    died = killed(tmp_path, COLLECT, COLLECTION_STEPS[step])

    assert died
    assert all(cache.at(version.id).verify() == version for version in cache.versions())
    assert cache.get(1) == {"id": 1, "version": 3}
    Cache("scores", tmp_path, keep=1).gc()
    assert [current] == [path.name for path in (tmp_path / "scores" / "versions").iterdir()]


def test_a_killed_pin_is_none(killed: Callable[..., bool], tmp_path: Path) -> None:
    """A pin counts when CURRENT is replaced; the cache isn't locked by one that died."""
    cache = load(tmp_path, 1)

    died = killed(tmp_path, 'Cache("scores", folder).pin()', ("lakeflow.cache.files.durable", "os.utime"))

    assert died
    assert not cache.version.pinned
    assert cache.pin().pinned


def test_a_first_build_that_was_killed_is_no_version(killed: Callable[..., bool], tmp_path: Path) -> None:
    """A cache whose only build died has no version, and the next build makes one."""
    assert killed(tmp_path, LOAD, STEPS["before CURRENT is written"])
    cache = Cache("scores", tmp_path)

    assert cache.versions() == []
    assert load(tmp_path, 1).get(1) == {"id": 1, "version": 1}


def test_a_folder_without_manifest_is_no_version(tmp_path: Path) -> None:
    """Files that something else left among the versions are never read; the next publish removes them."""
    cache = load(tmp_path, 1)
    stray = tmp_path / "scores" / "versions" / "20990101T000000-00000000"
    stray.mkdir()

    assert len(cache.versions()) == 1
    load(tmp_path, 2)
    assert not stray.exists()


def test_a_living_build_is_not_swept(tmp_path: Path) -> None:
    """A publish leaves alone the folder of a build that another process is still at."""
    cache = load(tmp_path, 1)
    versions = tmp_path / "scores" / "versions"

    def batches() -> Iterator[pa.Table]:
        yield pa.table({"id": [1], "version": [3]})
        building = set(versions.iterdir())
        load(tmp_path, 2)
        assert building < set(versions.iterdir())

    cache.load(batches(), key="id")

    assert [cache.at(version.id).get(1)["version"] for version in cache.versions()] == [1, 2, 3]


def test_a_file_over_the_limit_is_a_full_store(tmp_path: Path) -> None:
    """A file that may not grow fails the build with StoreFullError and leaves the old version alone."""
    cache = load(tmp_path, 1)

    failed = run(SMALL_LIMIT, str(tmp_path))

    assert "No space left to write" in failed.stdout
    assert len(cache.versions()) == len(list((tmp_path / "scores" / "versions").iterdir())) == 1


def test_an_update_over_the_limit_is_a_full_store(tmp_path: Path) -> None:
    """A shard that may not grow fails the update with StoreFullError; what it shares is as it was."""
    cache = load(tmp_path, 1, rows=50_000)

    failed = run(
        SMALL_LIMIT.replace('.load(pa.table({"id": range(50_000)}), key="id")', ".update(delete=[1])"), str(tmp_path)
    )

    assert "No space left to write" in failed.stdout
    assert cache.verify() == cache.version
    assert [cache.version.id] == [path.name for path in (tmp_path / "scores" / "versions").iterdir()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_is_a_full_store(small_disk: Path) -> None:
    """On a disk of 1 MiB a build that doesn't fit is removed; the old version is read, the next one fits."""
    cache = load(small_disk, 1, rows=1000)

    with pytest.raises(StoreFullError, match="No space left"):
        load(small_disk, 2, rows=100_000)

    assert cache.get_many(range(1, 1001))["version"].to_pylist() == [1] * 1000
    assert len(list((small_disk / "scores" / "versions").iterdir())) == 1
    assert load(small_disk, 3, rows=1000).get(1) == {"id": 1, "version": 3}


def test_a_read_only_folder_is_read(small_disk: Path) -> None:
    """On a disk that can't be written, as after an error of its file system: look-ups go on, all else says why not."""
    cache = load(small_disk, 1)
    load(small_disk, 2)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    reader = Cache("scores", small_disk)

    changes = (lambda: load(small_disk, 3), lambda: reader.update(delete=[1]), reader.rollback, reader.gc, reader.pin)
    for change in changes:
        with pytest.raises(AccessDeniedError, match="Read-only file system"):
            change()
    assert reader.get(1) == cache.get(1) == {"id": 1, "version": 2}
    assert reader.get_many([1, 2])["found"].to_pylist() == [True, False]
    assert reader.verify() == cache.version


def test_a_full_disk_can_be_cleared(small_disk: Path) -> None:
    """What a dead build filled to the last byte goes first, so that there is room for a pointer to fewer versions."""
    for number in (1, 2):
        cache = load(small_disk, number)
    dead = small_disk / "scores" / "versions" / "dead"
    dead.mkdir()
    with pytest.raises(OSError, match="No space left"):
        (dead / "shard").write_bytes(bytes(2 << 20))

    collected = Cache("scores", small_disk, keep=1).gc()

    assert "dead" in collected.versions
    assert len(collected.versions) == 2
    assert cache.get(1) == {"id": 1, "version": 2}
