"""What becomes of a cache whose `CURRENT` is lost, which a rollback brings back, or the manifest of one version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pytest

from lakeflow.cache import Cache
from lakeflow_io.errors import (
    CommitConflictError,
    CorruptFileError,
    LakeflowError,
    NotFoundError,
    ObjectNotFoundError,
    UnsupportedError,
)
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["folder", "store"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    """A cache of three versions, the second of which is the current one."""
    root = str(tmp_path) if request.param == "folder" else f"memory://{uuid4().hex}/caches"
    storage = {"lakeflow.shard-cache.folder": str(tmp_path / "copies")}
    cache = Cache("scores", root, grace=0, refresh=0, storage=storage)
    ids = [cache.load(pa.table({"id": [1], "number": [number]}), key="id").id for number in range(3)]
    cache.rollback(ids[1])
    return cache


def lose(cache: Cache, content: bytes | None) -> None:
    """Take `CURRENT` away, or put something else there."""
    uri, transport = f"{cache._shelf.uri}/CURRENT", open_transport({})
    transport.delete(uri) if content is None else transport.put(uri, content)


def again(cache: Cache) -> Cache:
    """The same, as another process opens it."""
    return Cache("scores", cache.root, keep=3, grace=0, refresh=0, storage=cache._shelf.storage)


@pytest.mark.parametrize("content", [None, b"", b"not JSON", b"null", b'{"format": 1}'])
def test_a_rollback_brings_the_pointer_back(cache: Cache, content: bytes | None) -> None:
    """To the version that is named; the others can be read and rolled back to, and more are published."""
    first, second, third = (each.id for each in cache.versions())
    lose(cache, content)

    with pytest.raises(LakeflowError):
        again(cache).get(1)
    with pytest.raises(LakeflowError):
        again(cache).rollback()
    with pytest.raises(NotFoundError, match=third):
        again(cache).rollback("nope")
    restored = again(cache).rollback(third)

    assert restored.current
    assert [(each.id, each.current) for each in again(cache).versions()] == [
        (first, False), (second, False), (third, True),
    ]  # fmt: skip
    assert again(cache).get(1) == {"id": 1, "number": 2}
    assert again(cache).at(first).get(1) == {"id": 1, "number": 0}
    again(cache).load(pa.table({"id": [1], "number": [9]}), key="id")
    assert again(cache).rollback().id == third


def test_what_is_not_whole_is_left_out(cache: Cache) -> None:
    """It can't be rolled back to, and nothing changes then."""
    first, second, third = cache.versions()
    shelf, transport = cache._shelf, open_transport({})
    gone = next(each.uri for each in transport.list(shelf.uri) if first.id in each.uri and each.uri.endswith(".idx"))
    transport.delete(gone)
    lose(cache, b"")

    with pytest.raises(ObjectNotFoundError, match=first.id):
        again(cache).rollback(first.id)
    with pytest.raises(CorruptFileError):
        again(cache).get(1)
    again(cache).rollback(second.id)

    assert [each.id for each in again(cache).versions()] == [second.id, third.id]


def test_a_pointer_that_is_there_stays(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may have brought it back meanwhile."""
    *_, third = cache.versions()
    lose(cache, b"")
    finished, shelf = type(cache._shelf).finished, type(cache._shelf)

    def late(self: object) -> list[str]:
        monkeypatch.setattr(shelf, "finished", finished)
        again(cache).rollback(third.id)
        return finished(self)  # type: ignore[arg-type]

    monkeypatch.setattr(shelf, "finished", late)
    with pytest.raises(CommitConflictError):
        again(cache).rollback(third.id)

    assert again(cache).version.id == third.id


def test_a_collection_leaves_whole_versions_without_a_pointer(cache: Cache) -> None:
    """They are all that is left of the cache."""
    third = cache.versions()[-1]
    lose(cache, None)

    for _ in range(2):
        try:
            assert again(cache).gc().versions == ()
        except NotFoundError:  # on a store there is nothing to go by
            assert "://" in cache.root

    assert again(cache).rollback(third.id).id == third.id
    assert len(again(cache).versions()) == 3


def test_a_cache_of_another_format_is_published_over(cache: Cache) -> None:
    """It can't be read, and says what to do; that is then possible."""
    uri, transport = f"{cache._shelf.uri}/versions/{cache.version.id}/manifest.json", open_transport({})
    transport.put(uri, json.dumps({**json.loads(bytes(transport.get(uri))), "format": 1}).encode())

    with pytest.raises(UnsupportedError, match="publish a version over it"):
        again(cache).get(1)
    again(cache).load(pa.table({"id": [1], "number": [9]}), key="id")

    assert again(cache).get(1) == {"id": 1, "number": 9}


def test_a_publish_without_a_pointer_begins_anew(cache: Cache) -> None:
    """It makes one, and removes what was there; beside one that is damaged nothing is published."""
    lose(cache, b"")
    with pytest.raises(CorruptFileError, match="CURRENT"):
        again(cache).load(pa.table({"id": [1], "number": [9]}), key="id")
    lose(cache, None)

    published = again(cache).load(pa.table({"id": [1], "number": [9]}), key="id")

    assert [each.id for each in again(cache).versions()] == [published.id]
    manifests = [each.uri for each in open_transport({}).list(cache._shelf.uri) if each.uri.endswith("manifest.json")]
    assert [published.id in uri for uri in manifests] == [True]


@pytest.mark.parametrize("content", [None, b"{", b'{"format": 1, "hash": "older", "key": "id"}'])
def test_a_manifest_that_is_lost_stops_nobody(cache: Cache, content: bytes | None) -> None:
    """Other versions are read, listed and published as ever; the one it is of says what is wrong, and goes in time."""
    first, second, third = (each.id for each in cache.versions())
    uri, transport = f"{cache._shelf.uri}/versions/{first}/manifest.json", open_transport({})
    transport.delete(uri) if content is None else transport.put(uri, content)

    assert [each.id for each in again(cache).versions()] == [second, third]
    assert again(cache).get(1) == {"id": 1, "number": 1}
    with pytest.raises(LakeflowError, match=first):
        again(cache).at(first).get(1)
    with pytest.raises(LakeflowError, match=first):
        again(cache).rollback(first)
    published = again(cache).load(pa.table({"id": [1], "number": [9]}), key="id", run_id="monday")

    assert [each.id for each in again(cache).versions()] == [second, third, published.id]
    assert again(cache).load(pa.table({"id": [1]}), key="id", run_id="monday").id == published.id
    again(cache).gc()
    assert first not in " ".join(each.uri for each in transport.list(cache._shelf.uri))
