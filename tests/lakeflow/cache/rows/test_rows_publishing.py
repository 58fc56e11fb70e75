"""Which versions have rows files: those of a cache that is to have them, and updates of those, in every place."""

from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import lakeflow as lf
import lakeflow.cache.building.build as build_module
import lakeflow.cache.building.load as load_module
from lakeflow.cache import Cache
from lakeflow.runs.outputs.sink import RunLabel
from lakeflow_io.errors import CorruptFileError, InputError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.cache.files.manifest import Manifest

LABEL = RunLabel(run_id="run-1", plan_digest="d1", source=None, shards=1, rows_in=9, seconds=1.0)


def rows_of(start: int, end: int, score: float = 0.5) -> pa.Table:
    """Some rows."""
    return pa.table({"id": range(start, end), "score": [score] * (end - start)})


def manifest_of(cache: Cache) -> Manifest:
    """What the current version says of itself."""
    return cache._version().manifest


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards of at most 40 rows."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 40)


@pytest.fixture(params=["folder", "store"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder, and a store in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "copies"))
    return str(tmp_path) if request.param == "folder" else f"memory://rows-{tmp_path.name}/{os.getpid()}"


def test_a_version_has_three_files_a_shard(tmp_path: Path) -> None:
    """They are listed, counted, and named in the manifest with its layout; a cache of columns has two."""
    plain = Cache("columns", tmp_path).load(rows_of(0, 100), key="id")
    cache = Cache("rows", tmp_path, layout="rows")

    version = cache.load(rows_of(0, 100), key="id")

    folder = tmp_path / "rows" / "versions" / version.id
    names = {"shard-0000.arrow", "shard-0000.idx", "shard-0000.rows", "manifest.json"}
    assert names == {path.name for path in folder.iterdir()}
    assert version.bytes == sum(path.stat().st_size for path in folder.glob("shard-*")) > plain.bytes
    assert (cache.stats().layout, cache.stats().disk_bytes > version.bytes) == ("rows", True)
    assert json.loads((folder / "manifest.json").read_text())["layout"] == "rows"
    with pa.ipc.open_file(folder / "shard-0000.rows") as file:
        assert file.schema.names == ["bucket", "crc32"]


@pytest.mark.usefixtures("small_shards")
def test_an_update_keeps_the_layout(root: str) -> None:
    """Whoever makes it; shards that stay keep their rows files, shards that change get new ones."""
    Cache("scores", root, layout="rows").load(rows_of(0, 100), key="id")

    version = Cache("scores", root).update(rows_of(7, 8, 0.9), delete=[3])

    cache = Cache("scores", root)
    facts = manifest_of(cache)
    assert facts.layout == "rows"
    assert all(shard.row_major for shard in facts.shards)
    reused = [shard for shard in facts.shards if shard.owner != version.id]
    assert len(reused) in (1, 2)
    assert version.reused_bytes == sum(file.bytes for shard in reused for file in shard.files)
    assert [cache.get(key) for key in (3, 7, 8)] == [None, {"id": 7, "score": 0.9}, {"id": 8, "score": 0.5}]
    assert cache.get_many(range(100))["found"].to_pylist() == [key != 3 for key in range(100)]
    cache.verify()
    cache.rollback()
    assert cache.get(3) == {"id": 3, "score": 0.5}

    columns = Cache("columns", root)
    columns.load(rows_of(0, 10), key="id")
    Cache("columns", root, layout="rows").update(rows_of(10, 20))
    assert manifest_of(columns).layout == "columns"


def test_an_empty_version_keeps_its_layout(tmp_path: Path) -> None:
    """It has no shards that could say it."""
    Cache("scores", tmp_path, layout="rows").load(rows_of(0, 1).slice(1), key="id")
    cache = Cache("scores", tmp_path)

    cache.update(rows_of(0, 5))

    assert [shard.row_major is None for shard in manifest_of(cache).shards] == [False]
    assert cache.get(3) == {"id": 3, "score": 0.5}


def test_a_load_takes_the_layout_of_its_cache(root: str) -> None:
    """From one version to the next it may change, there and back, and readers follow."""
    reader = Cache("scores", root, refresh=0)
    for score, layout in enumerate(("columns", "rows", "columns")):
        Cache("scores", root, layout=layout).load(rows_of(0, 10, score), key="id")

        assert (manifest_of(reader).layout, reader.get(4)) == (layout, {"id": 4, "score": float(score)})


def _scored(item: int) -> pa.Table:
    return rows_of(item * 10, item * 10 + 10, item)


def test_a_run_takes_the_layout_of_its_cache(tmp_path: Path) -> None:
    """`precompute`, and one that updates."""
    cache = Cache("scores", tmp_path, layout="rows")

    lf.precompute([0, 1, 2], _scored, cache=cache, key="id", engine="serial", progress=False)
    lf.precompute([3], _scored, cache=Cache("scores", tmp_path), key="id", engine="serial", progress=False, update=True)

    assert manifest_of(cache).layout == "rows"
    assert [cache.get(key)["score"] for key in (5, 15, 25, 35)] == [0, 1, 2, 3]


@pytest.mark.usefixtures("small_shards")
def test_segments_that_become_shards_get_their_rows(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is linked and not merged: of one task, and of a load that is too large for memory."""
    run = Cache("run", root, layout="rows")
    lf.precompute([0], _scored, cache=run, key="id", engine="serial", progress=False)
    monkeypatch.setattr(load_module.Unsorted, "fits", lambda _: False)
    loaded = Cache("loaded", root, layout="rows")
    loaded.load(rows_of(0, 10), key="id")

    for cache in (run, loaded):
        [shard] = manifest_of(cache).shards
        assert shard.row_major is not None
        assert shard.row_major.name == "shard-0000.rows"
        assert [cache.get(key)["id"] for key in range(10)] == list(range(10))
        cache.verify()


def test_a_segment_that_was_damaged_is_not_packed(tmp_path: Path) -> None:
    """Else its rows would get checksums that fit the damage; nothing is published."""
    cache = Cache("scores", tmp_path, layout="rows")
    sink = cache.sink("id")
    [fact] = sink.writer().write("a", rows_of(0, 1000))
    [path] = (tmp_path / "scores" / "staging").glob("*.arrow")
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])

    with pytest.raises(CorruptFileError):
        sink.publish(LABEL, [fact])
    assert cache.versions() == []


def test_a_layout_survives_a_pickle_and_a_view(tmp_path: Path) -> None:
    """In another process the object publishes as it does here."""
    cache = Cache("scores", tmp_path, layout="rows")
    version = cache.load(rows_of(0, 10), key="id")

    assert cache.at(version.id).get(1) == {"id": 1, "score": 0.5}
    copy: Cache = pickle.loads(pickle.dumps(cache))
    copy.load(rows_of(0, 10), key="id")
    assert manifest_of(cache).layout == "rows"


def test_what_has_no_row_form_is_refused_before_anything_is_published(tmp_path: Path) -> None:
    """By name; nothing is left behind, and columns hold it."""
    twice = pa.struct([pa.field("a", pa.int8()), pa.field("a", pa.int8())])
    table = pa.table({"id": [1], "odd": pa.array([None], twice)})
    cache = Cache("scores", tmp_path, layout="rows")

    with pytest.raises(UnsupportedError, match="'odd'"):
        cache.load(table, key="id")

    assert cache.versions() == []
    assert list((tmp_path / "scores").rglob("shard-*")) == []
    Cache("scores", tmp_path).load(table, key="id")


@pytest.mark.parametrize("layout", ["row", "", None, 1])
def test_a_layout_that_there_is_not(layout: Any, tmp_path: Path) -> None:
    """Is refused when the object is made."""
    with pytest.raises(InputError, match="layout="):
        Cache("scores", tmp_path, layout=layout)


def test_a_store_has_the_third_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent, fetched, verified and repaired like the others; a copy that is damaged goes with `verify`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = f"memory://rows-{tmp_path.name}/{os.getpid()}"
    cache = Cache("scores", root, layout="rows")
    version = cache.load(rows_of(0, 10), key="id")
    [copy] = tmp_path.rglob("shard-*.rows")
    whole = copy.read_bytes()

    copy.unlink()
    assert Cache("scores", root).get(4) == {"id": 4, "score": 0.5}
    assert copy.read_bytes() == whole
    copy.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    Cache("scores", root).verify()
    assert not copy.exists()

    shard = manifest_of(cache).shards[0]
    shelf = cache._shelf
    assert shard.row_major is not None
    shelf.replace_file(version.id, shard, shard.row_major, whole[:-1] + b"x")
    with pytest.raises(CorruptFileError, match=r"\.rows has CRC-32"):
        Cache("scores", root).get(4)
    assert cache.repair() == ["shard-0000.rows"]
    assert Cache("scores", root).get(4) == {"id": 4, "score": 0.5}
