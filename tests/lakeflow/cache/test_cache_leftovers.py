"""What attempts and drivers that died leave of a run goes once the run has published, and not before."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.cache import Collected, sink
from lakeflow.runs.outputs.publishing import Publisher
from lakeflow.runs.state.journal import Journal
from lakeflow_io.errors import (
    FunctionError,
    InputError,
    NotFoundError,
    ObjectNotFoundError,
    RunAbandonedError,
)
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = timedelta(0)


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
    return lf.Cache("scores", root, keep=1, grace=0, refresh=0, storage=storage)


def part(number: int) -> pa.Table:
    """Return the rows of a task."""
    return pa.table({"id": [number], "value": [number]})


def run(cache: lf.Cache, run_id: str = "monday") -> lf.Run:
    """Publish three rows."""
    return lf.foreach([1, 2, 3], part, into=cache.sink("id"), run_id=run_id, engine="serial", progress=False)


def attempt(cache: lf.Cache, run_id: str, work: str = "item-00001-a0") -> None:
    """Leave what an attempt leaves that was killed before it could put its marker."""
    cache.sink("id").writer().write(f"{run_id}-{work}", part(1))


def interrupted(cache: lf.Cache, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what a driver leaves that is killed when all tasks are done."""
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", killed)
        with pytest.raises(Killed):
            run(cache, run_id)


def meanwhile(patch: pytest.MonkeyPatch, moment: str, act: Callable[[], object]) -> None:
    """Act just before something of the driver's side is called."""
    owner, _, name = moment.rpartition(".")
    target = getattr(sink, owner) if owner else sink
    original = getattr(target, name)

    def late(*arguments: Any, **more: Any) -> Any:
        act()
        return original(*arguments, **more)

    patch.setattr(target, name, late)


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


@pytest.mark.parametrize("retire", ["load", "gc"])
def test_a_run_publishes_once_whatever_became_of_its_version(
    cache: lf.Cache, retire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its driver died before it could record that it had published; what is newer stays what readers see."""
    with monkeypatch.context() as patch:
        patch.setattr("lakeflow.cache.building.segment.CacheWriter.discard", killed)
        with pytest.raises(Killed):
            run(cache)
    first = cache.version
    if retire == "gc":
        lf.Cache("scores", cache.root, keep=2, grace=0, storage=cache._shelf.storage).load(part(7), key="id")
        cache.gc()
    else:
        cache.load(part(7), key="id")

    assert [each.id for each in cache.versions()] == [cache.version.id] != [first.id]
    assert run(cache).version_id == first.id
    assert cache.get(7) == {"id": 7, "value": 7}
    cache.gc()
    assert staged(cache) == []


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
    interrupted(cache, "wednesday", monkeypatch)
    attempt(cache, "monday")

    cache.gc()

    items = [f"wednesday-item-{number:05d}-a0" for number in range(3)]
    assert staged(cache) == ["monday-item-00001-a0", "tuesday-item-00001-a0", *items]
    assert run(cache, "wednesday").rows == 3
    assert "wednesday" not in " ".join(staged(cache))


def test_a_silent_run_is_given_up(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a collection; one that was heard of since, or that has no plan here, keeps its segments."""
    current = cache.load(part(7), key="id")
    interrupted(cache, "monday", monkeypatch)
    attempt(cache, "unknown")

    assert cache.gc() == cache.gc(older_than=None) == Collected((), 0)
    kept = staged(cache)
    collected = cache.gc(older_than=NOW)

    assert len(kept) == 4
    assert collected.given_up == ("monday",)
    assert collected.bytes > 0
    assert staged(cache) == ["unknown-item-00001-a0"]
    with pytest.raises(RunAbandonedError):
        run(cache)
    assert cache.version == current


def test_a_run_without_a_segment_is_given_up(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks failed, and what it left are tables that they share; runs that have published stay as they are."""
    run(cache, "sunday")

    def fails(_: int, names: pa.Table) -> pa.Table:
        return names[0] // 0

    with pytest.raises(FunctionError):
        lf.foreach(
            [1],
            fails,
            into=cache.sink("id"),
            run_id="monday",
            shared={"names": part(1)},
            engine="serial",
            progress=False,
        )
    shelf = cache.sink("id").cache
    journal = Journal.of(open_transport(shelf.storage), shelf.uri, "monday")
    left = [info.uri for info in journal.transport.list(journal.shared_folder)]
    monkeypatch.setattr("lakeflow.cache.publishing.abandon.last_heard", lambda *_: 0.0)

    collected = cache.gc()

    assert len(left) == 1
    assert collected.given_up == ("monday",)
    assert list(journal.transport.list(journal.shared_folder)) == []
    assert run(cache, "sunday").version_id == cache.version.id
    assert cache.gc().given_up == ()


def test_an_attempt_of_a_run_that_was_given_up_leaves_nothing(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that writes on: its segment goes with the next collection or publish."""
    interrupted(cache, "monday", monkeypatch)
    cache.gc(older_than=NOW)
    attempt(cache, "monday")

    run(cache, "tuesday")

    assert staged(cache) == []
    assert cache.gc(older_than=NOW).given_up == ()


@pytest.mark.parametrize("moment", ["CacheSink.publish", "Segment.of"])
def test_a_run_that_is_about_to_publish_is_given_up(
    cache: lf.Cache, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its driver slept behind its seal, or behind its last look: it finds that out, and publishes nothing."""
    with monkeypatch.context() as patch:
        meanwhile(patch, moment, lambda: cache.gc(older_than=NOW))
        with pytest.raises(RunAbandonedError):
            run(cache)

    with pytest.raises(RunAbandonedError):
        run(cache)
    assert staged(cache) == []
    with pytest.raises(NotFoundError):
        _ = cache.version


def test_a_run_that_is_given_up_says_so(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that it misses, of a task or a marker, is gone because of that."""
    run(cache, "sunday")

    monkeypatch.setattr("lakeflow.cache.publishing.abandon.last_heard", lambda *_: 0.0)

    def misses(_: int) -> pa.Table:
        attempt(cache, "monday")
        cache.gc()
        raise ObjectNotFoundError("A segment is gone.")

    markers = Journal.markers

    def late(journal: Journal, *arguments: Any) -> Any:
        cache.gc()
        return markers(journal, *arguments)

    monkeypatch.setattr(Journal, "markers", late)
    into = cache.sink("id")

    with pytest.raises(RunAbandonedError):
        lf.foreach([1], misses, into=into, run_id="monday", engine="serial", progress=False)
    with pytest.raises(RunAbandonedError):
        run(cache, "tuesday")


def test_a_run_publishes_though_it_is_given_up(cache: lf.Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver slept with the version built: that is whole without the segments."""
    with monkeypatch.context() as patch:
        meanwhile(patch, "publish", lambda: cache.gc(older_than=NOW))
        published = run(cache)

    assert cache.verify().id == published.version_id == run(cache).version_id
    assert cache.get_many([1, 2, 3])["value"].to_pylist() == [1, 2, 3]
    assert staged(cache) == []


def test_a_run_with_other_outputs_is_left_alone(cache: lf.Cache, tmp_path: Path) -> None:
    """Whether it has published there a cache can't tell."""
    other = lf.Cache("other", tmp_path / "other")

    def fails(number: int) -> dict[str, pa.Table]:
        return dict.fromkeys(into, part(number if number < 3 else 1 // 0))

    into = {"here": cache.sink("id"), "there": other.sink("id")}
    with pytest.raises(FunctionError):
        lf.foreach([1, 2, 3], fails, into=into, run_id="monday", engine="serial", progress=False)

    assert cache.gc(older_than=NOW) == other.gc(older_than=NOW) == Collected((), 0)
    assert len(staged(cache)) == len(staged(other)) == 2


@pytest.mark.parametrize("older_than", [timedelta(-1), 7])
def test_no_time_to_give_runs_up_after(cache: lf.Cache, older_than: Any) -> None:
    """It is refused, and nothing is removed."""
    with pytest.raises(InputError):
        cache.gc(older_than=older_than)


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
