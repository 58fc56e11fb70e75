"""How long versions stay: the newest, pinned ones, those left a short time ago; and what `gc` removes."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.cache import Cache, CacheVersion
from lakeflow.cache.files.pointer import Pointer
from lakeflow.cache.publishing.retention import Retention
from lakeflow_io.errors import InputError, NotFoundError


def load(cache: Cache, number: int) -> str:
    """Publish one row that carries the number of its version."""
    return cache.load(pa.table({"id": [1], "version": [number]}), key="id").id


def on_disk(cache: Cache) -> set[str]:
    """Return the folders of versions."""
    return {folder.name for folder in (Path(cache.root) / cache.name / "versions").iterdir()}


def listed(cache: Cache) -> list[str]:
    """Return the ids of published versions."""
    return [version.id for version in cache.versions()]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose element is the time."""
    clock = [1e9]
    monkeypatch.setattr("lakeflow.cache.publishing.retention.time.time", lambda: clock[0])  # for every module
    return clock


def test_a_pinned_version_stays(tmp_path: Path) -> None:
    """Through any number of publishes and `gc`, until it is unpinned; it can be read and rolled back to."""
    cache = Cache("scores", tmp_path, keep=2)
    first = load(cache, 0)
    pinned = cache.pin()

    ids = [load(cache, number) for number in range(1, 5)]
    cache.gc()

    assert (pinned.id, pinned.pinned, cache.version.pinned) == (first, True, False)
    assert [first, *ids[-2:]] == listed(cache)
    assert {first, *ids[-2:]} == on_disk(cache)
    assert cache.at(first).get(1) == {"id": 1, "version": 0}
    assert cache.rollback(first).current
    assert cache.rollback(ids[-1]).current
    assert not cache.unpin(first).pinned
    assert cache.gc().versions == (first,)
    assert set(ids[-2:]) == on_disk(cache)


def test_pinning_twice_is_pinning_once(tmp_path: Path) -> None:
    """And so is unpinning."""
    cache = Cache("scores", tmp_path)
    first = load(cache, 0)

    for _ in range(2):
        assert cache.pin(first).pinned
    assert not cache.unpin().pinned
    assert not cache.unpin(first).pinned
    for name in ("nope", "../x"):
        with pytest.raises(NotFoundError):
            cache.pin(name)
        with pytest.raises(NotFoundError):
            cache.unpin(name)


def test_a_version_stays_for_the_grace_period(tmp_path: Path, now: list[float]) -> None:
    """It counts from when the version was current the last time."""
    cache = Cache("scores", tmp_path, keep=1, grace=60)
    ids = []
    for number in range(3):
        ids.append(load(cache, number))
        now[0] += 50

    assert ids == listed(cache)
    assert cache.gc().versions == (ids[0],)
    assert on_disk(cache) == set(ids[1:])
    cache.rollback(ids[1])
    cache.rollback(ids[2])
    now[0] += 50
    assert cache.gc().versions == ()
    assert cache.at(ids[1]).get(1) == {"id": 1, "version": 1}
    now[0] += 10
    assert cache.gc().versions == (ids[1],)
    assert cache.gc().versions == ()
    assert listed(cache) == ids[2:]


def test_gc_keeps_the_current_version_wherever_it_is(tmp_path: Path) -> None:
    """After a rollback to the oldest one, too."""
    cache = Cache("scores", tmp_path)
    ids = [load(cache, number) for number in range(3)]
    cache.rollback(ids[0])

    assert Cache("scores", tmp_path, keep=1).gc().versions == (ids[1],)
    assert ids[::2] == listed(cache)
    assert cache.get(1) == {"id": 1, "version": 0}


def test_gc_says_what_it_freed(tmp_path: Path) -> None:
    """The versions and the bytes of their files; also what something else left among the versions."""
    cache = Cache("scores", tmp_path)
    first = load(cache, 0)
    load(cache, 1)
    stray = tmp_path / "scores" / "versions" / "00000000T000000-stray"
    stray.mkdir()
    (stray / "file").write_bytes(b"x" * 1000)
    size = sum(path.stat().st_size for path in (tmp_path / "scores" / "versions" / first).iterdir())

    collected = Cache("scores", tmp_path, keep=1).gc()

    assert (stray.name, first) == collected.versions
    assert size + 1000 == collected.bytes
    assert not stray.exists()


def test_gc_of_nothing_is_not_found(tmp_path: Path) -> None:
    """A mistyped name makes no folder."""
    with pytest.raises(NotFoundError):
        Cache("scores", tmp_path).gc()
    assert list(tmp_path.iterdir()) == []


def test_an_open_view_outlives_its_version(tmp_path: Path) -> None:
    """What a reader has opened it reads to the end, after `gc` has removed the files."""
    cache = Cache("scores", tmp_path)
    view = cache.at(load(cache, 0))
    view.get(1)
    load(cache, 1)

    assert Cache("scores", tmp_path, keep=1).gc().versions == (view.version.id,)
    assert view.get(1) == {"id": 1, "version": 0}


def test_a_rollback_copies_nothing(tmp_path: Path) -> None:
    """It replaces one file, and counts that in another: all others are the same inodes, unchanged."""
    cache = Cache("scores", tmp_path)
    load(cache, 0)
    load(cache, 1)

    def files() -> dict[Path, tuple[int, int]]:
        paths = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}

    before = files()
    cache.rollback()
    after = files()

    changed = {path.name for path in after if before.get(path) != after[path]}
    assert {"CURRENT", "turns"} == changed
    assert before.keys() == after.keys()


def test_a_pointer_without_pins_is_read(tmp_path: Path) -> None:
    """As it was written before there were pins and grace periods."""
    cache = Cache("scores", tmp_path)
    version = load(cache, 0)
    pointer = tmp_path / "scores" / "CURRENT"
    pointer.write_text(f'{{"format": 1, "version": "{version}", "published": ["{version}"]}}')

    assert cache.pin().pinned
    assert cache.get(1) == {"id": 1, "version": 0}


@pytest.mark.parametrize("given", [{"keep": 0}, {"grace": -1}, {"grace": math.nan}], ids=str)
def test_retention_that_cannot_be_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    """By the argument's name."""
    with pytest.raises(InputError, match=next(iter(given))):
        Cache("scores", tmp_path, **given)


@given(
    published=st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1).map(tuple),
    data=st.data(),
    keep=st.integers(1, 9),
    grace=st.integers(0, 50),
)
def test_what_stays_is_what_was_promised(published: tuple[str, ...], data: Any, keep: int, grace: int) -> None:
    """The newest, the current one, pinned ones, those within the grace period; no other, in the same order."""
    current = data.draw(st.sampled_from(published))
    pinned = tuple(data.draw(st.sets(st.sampled_from(published))))
    others = [version for version in published if version != current]
    left = data.draw(st.dictionaries(st.sampled_from(others), st.floats(0, 100))) if others else {}
    pointer = Pointer(current, published, pinned, left)

    kept = Retention(keep, grace).applied(pointer, 100.0)

    stays = {
        version
        for place, version in enumerate(reversed(published))
        if place < keep or version == current or version in pinned or (grace and 100.0 - left.get(version, 0) < grace)
    }
    assert tuple(version for version in published if version in stays) == kept.published
    assert (current, stays & set(pinned)) == (kept.version, set(kept.pinned))
    assert Retention(keep, grace).applied(kept, 100.0) == kept


STEPS = st.lists(st.tuples(st.sampled_from(["load", "rollback", "pin", "unpin", "gc"]), st.integers(0, 9)), max_size=12)


def test_any_history_leaves_whole_versions() -> None:
    """Publishes, rollbacks, pins and collections in any order: each listed version is read with its own rows."""

    @settings(max_examples=8, deadline=None)
    @given(steps=STEPS, keep=st.integers(1, 3))
    def check(steps: list[tuple[str, int]], keep: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cache = Cache("scores", folder, keep=keep)
            numbers = {load(cache, 0): 0}
            pins: set[str] = set()
            for verb, pick in steps:
                current, known = cache.version.id, listed(cache)
                chosen = known[pick % len(known)]
                if verb == "load":
                    current = load(cache, len(numbers))
                    numbers[current] = len(numbers)
                elif verb == "gc":
                    cache.gc()
                else:
                    done: CacheVersion = getattr(cache, verb)(chosen)
                    current = done.id if verb == "rollback" else current
                    pins = pins | {chosen} if verb == "pin" else pins - {chosen} if verb == "unpin" else pins

                assert cache.version.id == current
                assert pins <= set(listed(cache))
                assert pins == {version.id for version in cache.versions() if version.pinned}
                assert on_disk(cache) == set(listed(cache))
                for version in listed(cache):
                    assert numbers[version] == cache.at(version).get(1)["version"]

    check()
