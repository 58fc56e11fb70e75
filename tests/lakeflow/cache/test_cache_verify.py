"""Damage: what `verify` finds, what reading refuses, and what `repair` brings back."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError, UnsupportedError

FILES = ["shard-0000.arrow", "shard-0000.idx", "shard-0001.arrow", "shard-0001.idx"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return a cache of two shards."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 80)
    cache = Cache("scores", tmp_path)
    cache.load(pa.table({"id": range(100), "text": [str(n) for n in range(100)]}), key="id")
    return cache


def file_of(cache: Cache, name: str) -> Path:
    """Return the path of a file of the current version."""
    return Path(cache.root) / cache.name / "versions" / cache.version.id / name


def flip(path: Path, place: float) -> None:
    """Flip one bit of a file, `place` (0 to 1) of the way into it."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def test_a_whole_version_verifies(cache: Cache) -> None:
    """A version that nobody touched has the checksums of its manifest, over all its files."""
    folder = file_of(cache, FILES[0]).parent

    assert cache.verify() == cache.version
    assert {*FILES, "manifest.json"} == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_flipped_bit_is_found(cache: Cache, name: str, place: float) -> None:
    """One bit, at the start, in the middle or at the end of any file, is found, and the file is named."""
    flip(file_of(cache, name), place)

    with pytest.raises(CorruptFileError, match=name):
        cache.verify()


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_not_read(cache: Cache, name: str, tmp_path: Path) -> None:
    """A file of another size is refused before it is mapped, by name; so is a rollback to it."""
    broken = cache.version.id
    path = file_of(cache, name)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(CorruptFileError, match=name):
        Cache("scores", tmp_path).get(1)
    cache.load(pa.table({"id": [1]}), key="id")
    with pytest.raises(CorruptFileError, match=name):
        cache.rollback(broken)
    assert cache.get(1) == {"id": 1}


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(cache: Cache, name: str, tmp_path: Path) -> None:
    """A file that is gone is the store's fault, by name, for a reader and for `verify`."""
    file_of(cache, name).unlink()

    with pytest.raises(ObjectNotFoundError, match=name):
        Cache("scores", tmp_path).get(1)
    with pytest.raises(ObjectNotFoundError, match=name):
        Cache("scores", tmp_path).verify()


def test_indexes_are_rebuilt_from_payloads(cache: Cache, tmp_path: Path) -> None:
    """An index that is damaged or gone is computed again to the same bytes; the others are left alone."""
    original = file_of(cache, FILES[1]).read_bytes()
    flip(file_of(cache, FILES[1]), 0.9)
    file_of(cache, FILES[3]).unlink()

    assert [FILES[1], FILES[3]] == cache.repair()
    assert original == file_of(cache, FILES[1]).read_bytes()
    assert cache.repair() == []
    assert cache.verify() == cache.version
    assert Cache("scores", tmp_path).get_many(range(100))["found"].to_pylist() == [True] * 100


def test_an_index_that_is_computed_otherwise(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by another pyarrow it might be: it isn't put in place, and to repair again is no advice."""
    flip(file_of(cache, FILES[1]), 0.9)
    damaged = file_of(cache, FILES[1]).read_bytes()
    monkeypatch.setattr("lakeflow.cache.files.verify.rebuilt_index", lambda *_: b"otherwise")

    with pytest.raises(CorruptFileError, match="build it again") as raised:
        cache.repair()

    assert "repair()" not in str(raised.value)
    assert damaged == file_of(cache, FILES[1]).read_bytes()


def test_a_damaged_payload_is_not_repaired(cache: Cache) -> None:
    """No index is computed from a payload that isn't what was written."""
    flip(file_of(cache, FILES[2]), 0.5)

    with pytest.raises(CorruptFileError, match=FILES[2]):
        cache.repair()


def test_metadata_that_cannot_be_read_is_named(cache: Cache, tmp_path: Path) -> None:
    """A pointer or manifest that isn't JSON, or of another format, is refused by name."""
    pointer, manifest = tmp_path / "scores" / "CURRENT", file_of(cache, "manifest.json")
    whole = manifest.read_text()

    manifest.write_text("{")
    with pytest.raises(CorruptFileError, match=r"manifest\.json"):
        Cache("scores", tmp_path).get(1)
    manifest.write_text(json.dumps({**json.loads(whole), "hash": "other-2"}))
    with pytest.raises(UnsupportedError, match="other-2"):
        Cache("scores", tmp_path).get(1)
    pointer.write_text("[]")
    with pytest.raises(CorruptFileError, match="CURRENT"):
        Cache("scores", tmp_path).get(1)
    pointer.write_text('{"format": 2}')
    with pytest.raises(UnsupportedError, match="format 2"):
        cache.versions()
