"""Threads that need the same shard of a store at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache
from lakeflow.cache.files.manifest import ShardFacts, read_manifest
from lakeflow.cache.reading.version import OpenVersion
from lakeflow.cache.remote.shards import ObjectShards
from lakeflow_io.errors import CorruptFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THREADS = 4
ROWS = 4000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A version of some shards, and where it is."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 1500)
    version = Cache("scores", tmp_path).load(
        pa.table({"id": range(ROWS), "name": [f"name {row}" for row in range(ROWS)]}), key="id"
    )
    return tmp_path / "scores" / "versions" / version.id


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_a_shard_is_mapped_once_for_all_threads(folder: Path) -> None:
    """Whoever comes second waits for the first one's mapping: every answer is whole, in whatever order they come."""
    manifest = read_manifest(folder)
    ids = list(range(0, ROWS, 3))
    for _ in range(40):
        homes: list[ShardFacts] = []

        def home(facts: ShardFacts, homes: list[ShardFacts] = homes) -> Path:
            homes.append(facts)
            return folder

        version = OpenVersion.of(manifest, lambda key, home=home: ObjectShards(manifest.shards, home, key))
        barrier = Barrier(THREADS)

        def asked(_: int, version: OpenVersion = version, barrier: Barrier = barrier) -> list[str]:
            barrier.wait()
            return version.get_many(ids)["name"].to_pylist()

        with ThreadPoolExecutor(THREADS) as threads:
            answers = list(threads.map(asked, range(THREADS)))
        assert answers == [[f"name {row}" for row in ids]] * THREADS
        assert len(homes) == len(manifest.shards) > 1


@pytest.mark.usefixtures("restless")
def test_damage_is_an_error_in_every_thread(folder: Path) -> None:
    """It names the file, whichever thread has mapped it."""
    path = folder / "shard-0000.arrow"
    content = bytearray(path.read_bytes())
    for place in range(5000, len(content) - 5000, 4096):
        content[place] ^= 1
    path.write_bytes(content)
    manifest = read_manifest(folder)
    version = OpenVersion.of(manifest, lambda key: ObjectShards(manifest.shards, lambda _: folder, key))
    barrier = Barrier(THREADS)

    def asked(_: int) -> BaseException | None:
        barrier.wait()
        try:
            version.get_many(list(range(ROWS)))
        except CorruptFileError as error:
            return error
        return None

    with ThreadPoolExecutor(THREADS) as threads:
        assert ["shard-0000.arrow" in str(error) for error in threads.map(asked, range(THREADS))] == [True] * THREADS
