"""Readers know without a system call that the pointer is what it was, and never miss that it isn't."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow.cache import Cache
from lakeflow.cache.files import pointer
from lakeflow.cache.files.turns import mapped_turns, turning
from lakeflow.cache.reading import seen
from lakeflow_io.errors import StoreFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def publish(cache: Cache, number: int) -> None:
    """A version of one row."""
    cache.load(pa.table({"id": [1], "n": [number]}), key="id")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with a version."""
    cache = Cache("scores", tmp_path)
    publish(cache, 0)
    return cache


def test_a_look_up_makes_no_system_call(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody publishes, a request looks at no file."""
    monkeypatch.setattr(seen, "LOOK_SECONDS", 60)
    assert cache.get(1)["n"] == 0

    with monkeypatch.context() as refusing:
        refusing.setattr(os, "stat", _refused)
        assert cache.get(1)["n"] == 0
    publish(cache, 1)

    monkeypatch.setattr(os, "stat", _refused)
    with pytest.raises(AssertionError, match="a system call"):
        cache.get(1)


def _refused(*_: Any) -> None:
    raise AssertionError("a system call")


def test_a_publisher_that_died_hides_nothing(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed behind the pointer's replacement, which a reader looked at just before: it looks again, then and later."""
    monkeypatch.setattr(seen, "LOOK_SECONDS", 60)
    reader = Cache("scores", tmp_path)

    @contextmanager
    def dies_within(path: Path) -> Iterator[None]:
        with turning(path):
            reader.get(1)
            yield
            odd = path.read_bytes()
        path.write_bytes(odd)
        assert int.from_bytes(odd, sys.byteorder) % 2 == 1

    for number in (1, 2):
        assert reader.get(1)["n"] == number - 1
        with monkeypatch.context() as dying:
            dying.setattr(pointer, "turning", dies_within)
            publish(cache, number)

        assert reader.get(1)["n"] == number

    publish(cache, 3)

    assert reader.get(1)["n"] == 3


def test_a_pointer_that_others_replaced_is_seen_soon(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a folder doesn't count turns: readers look all the same, some times a second."""
    reader = Cache("scores", tmp_path)
    assert reader.get(1)["n"] == 0
    turns = tmp_path / "scores" / "turns"
    before = turns.read_bytes()
    publish(cache, 1)
    turns.write_bytes(before)
    assert reader.get(1)["n"] in (0, 1)

    monkeypatch.setattr(seen, "monotonic", lambda: 1e18)

    assert reader.get(1)["n"] == 1


def test_a_folder_without_the_number_is_read(cache: Cache, tmp_path: Path) -> None:
    """As a copy may be: every request looks at the pointer, and the next publish makes one."""
    turns = tmp_path / "scores" / "turns"
    turns.unlink()
    reader = Cache("scores", tmp_path)

    assert reader.get(1)["n"] == 0
    publish(cache, 1)
    assert reader.get(1)["n"] == 1
    assert mapped_turns(turns).number[0] % 2 == 0


def test_a_full_disk_stops_a_publish_before_the_pointer(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the number can't be written, the old version stays, and nothing is odd."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lakeflow.cache.files.turns._write", full)

    with pytest.raises(StoreFullError, match="turns"):
        publish(cache, 1)
    assert cache.get(1)["n"] == 0
