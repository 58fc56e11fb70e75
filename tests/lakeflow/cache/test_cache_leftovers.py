"""What attempts and drivers that died leave of a run goes once the run has published, and not before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.runs.outputs.publishing import Publisher

if TYPE_CHECKING:
    from pathlib import Path


class Killed(BaseException):
    """A kill, in the process of the test."""


def killed(*_: object) -> None:
    """Take the place of what isn't come to any more."""
    raise Killed


@pytest.fixture(params=["folder", "store"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> lf.Cache:
    """Return a cache without a version, which leaves one."""
    root = str(tmp_path) if request.param == "folder" else f"memory://{uuid4().hex}/caches"
    storage = {"lakeflow.shard-cache.folder": str(tmp_path / "copies")}
    return lf.Cache("scores", root, keep=1, grace=0, storage=storage)


def part(number: int) -> pa.Table:
    """Return the rows of a task."""
    return pa.table({"id": [number], "value": [number]})


def run(cache: lf.Cache, run_id: str = "monday") -> lf.Run:
    """Publish three rows."""
    return lf.foreach([1, 2, 3], part, into=cache.sink("id"), run_id=run_id, engine="serial", progress=False)


def attempt(cache: lf.Cache, run_id: str, work: str = "item-00001-a0") -> None:
    """Leave what an attempt leaves that was killed before it could put its marker."""
    cache.sink("id").writer().write(f"{run_id}-{work}", part(1))


def staged(cache: lf.Cache) -> list[str]:
    """Return the names of all segments, without their own numbers; each has two files."""
    names = [name for name, _ in cache.sink("id").cache.segments().listed()]
    labels = [name.removesuffix(".arrow") for name in names if name.endswith(".arrow")]
    assert sorted(names) == sorted([f"{label}{kind}" for label in labels for kind in (".arrow", ".idx")])
    return sorted(label.rpartition("-")[0] for label in labels)


def test_a_killed_attempt_leaves_nothing_once_its_run_has_published(cache: lf.Cache) -> None:
    """Whatever the work is called; segments of other runs stay, those of a longer name, too."""
    for work in ("item-00001-a0", "shard-00002-a1", "shard-00003.1of4-a0"):
        attempt(cache, "monday", work)
    attempt(cache, "monday-2")
    attempt(cache, "tuesday")

    run(cache)

    assert staged(cache) == ["monday-2-item-00001-a0", "tuesday-item-00001-a0"]


def test_a_driver_that_died_behind_its_publish_leaves_nothing(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its segments stay until a collection, which needs nobody to resume the run."""
    with monkeypatch.context() as patch:
        patch.setattr("lakeflow.cache.building.segment.CacheWriter.discard", killed)
        with pytest.raises(Killed):
            run(cache)
    left = staged(cache)

    collected = cache.gc()

    assert len(left) == 3
    assert collected.bytes > 0
    assert staged(cache) == []
    assert run(cache).version_id == cache.version.id


def test_a_record_counts_where_the_version_is_gone(cache: lf.Cache) -> None:
    """A run that another has followed is known by its record."""
    run(cache)
    cache.load(part(7), key="id")
    attempt(cache, "monday")

    cache.gc()

    assert len(cache.versions()) == 1
    assert staged(cache) == []


def test_a_run_that_has_not_published_keeps_its_segments(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a collection nor a load under the run's id takes them from whoever resumes it."""
    cache.load(part(7), key="id", run_id="monday")
    attempt(cache, "tuesday")
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", killed)
        with pytest.raises(Killed):
            run(cache, "wednesday")
    attempt(cache, "monday")

    cache.gc()

    items = [f"wednesday-item-{number:05d}-a0" for number in range(3)]
    assert staged(cache) == ["monday-item-00001-a0", "tuesday-item-00001-a0", *items]
    assert run(cache, "wednesday").rows == 3
    assert "wednesday" not in " ".join(staged(cache))


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """What no attempt has named isn't taken for a segment."""
    cache = lf.Cache("scores", tmp_path)
    run(cache)
    stray = tmp_path / "scores" / "staging" / "monday-notes.arrow"
    stray.touch()

    cache.gc()

    assert stray.exists()


def test_segments_that_can_not_be_deleted_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run has published; the log says what stays."""

    def refused(_: object) -> int:
        raise lf.errors.StoreError("no")

    cache = lf.Cache("scores", tmp_path)
    monkeypatch.setattr("lakeflow.cache.sink.remove_leftovers", refused)

    assert run(cache).version_id == cache.version.id


def test_a_publisher_that_died_after_the_switch_leaves_no_claim(tmp_path: Path) -> None:
    """The mark of who builds a version, and a draft of `CURRENT`, go with the next collection."""
    cache = lf.Cache("scores", tmp_path)
    claim = tmp_path / "scores" / "versions" / cache.load(part(1), key="id").id / "building"
    draft = tmp_path / "scores" / "CURRENT.draft"
    claim.touch()
    draft.touch()

    cache.gc()

    assert not claim.exists()
    assert not draft.exists()
    assert cache.verify() == cache.version


def test_a_builder_that_clears_up_meanwhile_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that its builder removes, while a collection takes it for an abandoned one, is gone."""
    cache = lf.Cache("scores", tmp_path, keep=1)
    current = cache.load(part(1), key="id")
    left = tmp_path / "scores" / "versions" / "20990101T000000-00000000"
    left.mkdir()

    listed = os.scandir

    def cleared(folder: Any = ".") -> Any:
        if not isinstance(folder, int) and os.fspath(folder) == str(left):
            left.rmdir()
        return listed(folder)

    monkeypatch.setattr(os, "scandir", cleared)

    assert cache.gc().bytes == 0
    assert cache.verify() == current
    assert not left.exists()
