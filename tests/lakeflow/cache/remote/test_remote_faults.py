"""A publisher, a collection or a reader that dies or is refused at any request leaves a whole version."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from faulty_store import ROOT, FaultyStore, KilledError, clients

from lakeflow.cache import Cache, min_rows
from lakeflow_io.errors import (
    CheckFailedError,
    CommitConflictError,
    CorruptFileError,
    ObjectNotFoundError,
    StoreError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEASE = "lakeflow.cache.remote.lease.LEASE_SECONDS"
MANY = 1000
"""More writes than any action makes."""


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FaultyStore], None]]:
    """Has caches reach their store through another client."""
    with clients(monkeypatch) as chosen:
        yield chosen


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cache]:
    """The cache `scores` of the store, on a machine, in shards of five rows at most."""
    monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", 5)

    def made(machine: str = "here", **options: Any) -> Cache:
        storage = {"lakeflow.shard-cache.folder": str(tmp_path / machine)}
        return Cache("scores", ROOT, storage=storage, **{"refresh": 0.0, "grace": 0.0, **options})

    return made


def table(number: int, rows: int = 10) -> pa.Table:
    """Rows that all carry a number."""
    return pa.table({"id": range(rows), "number": [number] * rows})


def needed(cache: Cache) -> set[str]:
    """What the published versions need, and the pointer."""
    shelf: Any = cache._shelf
    manifests = [shelf.manifest(version.id) for version in cache.versions()]
    return {uri for manifest in manifests for uri in shelf.objects(manifest)} | {f"{shelf.uri}/CURRENT"}


ACTIONS: dict[str, Callable[[Cache], object]] = {
    "load": lambda cache: cache.load(table(2), key="id", run_id="new"),
    "update": lambda cache: cache.update(pa.table({"id": [5], "number": [2]}), delete=[6], run_id="new"),
    "rollback": lambda cache: cache.rollback(cache.versions()[0].id),
    "gc": lambda cache: cache.gc(),
}


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_killed_at_any_write(
    action: str,
    done: bool,  # noqa: FBT001  (a parameter of the test)
    use: Callable[[FaultyStore], None],
    cache: Callable[..., Cache],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it died, the pointer names whole versions, the same again succeeds, and gc leaves only what they need.

    Where its claim hasn't run out, what it left stays.
    """
    for dies_at in range(MANY):
        objects: dict[str, bytes] = {}
        use(FaultyStore(objects))
        for number in (0, 1):
            cache(keep=3).load(table(number), key="id", run_id=f"run-{number}")
        doomed = FaultyStore(objects, dies_at=dies_at, done=done)
        use(doomed)
        try:
            ACTIONS[action](cache("doomed", keep=2 if action != "gc" else 1))
            survived = True
        except KilledError:
            survived = False

        use(FaultyStore(objects))
        reader = cache("reader", keep=2)
        assert reader.get(7)["number"] in (0, 1, 2)
        assert needed(reader) <= objects.keys()
        reader.verify()
        ACTIONS[action](reader)
        with monkeypatch.context() as patch:
            patch.setattr(LEASE, 0.0)
            reader.gc()
        assert objects.keys() == needed(reader)
        if survived:
            assert dies_at > (3 if action in ("load", "update") else 0)
            return
    pytest.fail("It never survived.")


def test_what_a_living_builder_has_sent_stays(use: Callable[[FaultyStore], None], cache: Callable[..., Cache]) -> None:
    """A collection between any two writes of a builder whose claim is fresh takes nothing from it."""
    objects: dict[str, bytes] = {}
    others = FaultyStore(objects)
    use(others)
    cache().load(table(0), key="id")
    collected = []

    def collect(verb: str, _: str) -> None:
        if verb.startswith("put"):
            use(others)
            collected.append(cache("other", keep=1).gc().versions)
            use(builder)

    builder = FaultyStore(objects, at=collect)
    use(builder)
    version = cache().load(table(1), key="id")

    use(others)
    assert (cache("reader").get(1), cache("reader").verify().id) == ({"id": 1, "number": 1}, version.id)
    assert len(collected) > 5


@pytest.mark.parametrize("verb", ["put_if_unchanged", "get"], ids=["before the pointer", "after it looked"])
def test_a_builder_that_slept_does_not_publish_what_was_collected(
    verb: str, use: Callable[[FaultyStore], None], cache: Callable[..., Cache], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose claim ran out, and whose objects are gone, is told so at its last step, and the old version stays."""
    objects: dict[str, bytes] = {}
    others = FaultyStore(objects)
    use(others)
    cache().load(table(0), key="id")

    def collect(asked: str, uri: str) -> None:
        place = "CURRENT" if verb == "put_if_unchanged" else "building/"
        manifests = sum(name.endswith("manifest.json") for name in objects)
        if asked == verb and place in uri and manifests == 2:
            use(others)
            with monkeypatch.context() as patch:
                patch.setattr(LEASE, 0.0)
                cache("other").gc()
            use(builder)

    builder = FaultyStore(objects, at=collect)
    use(builder)
    with pytest.raises(CommitConflictError, match="ran out"):
        cache().load(table(1), key="id")

    use(others)
    reader = cache("reader")
    assert (reader.get(1), [name for name in objects if name not in needed(reader)]) == ({"id": 1, "number": 0}, [])


def test_an_answer_that_was_lost(use: Callable[[FaultyStore], None], cache: Callable[..., Cache]) -> None:
    """A pointer that was replaced, of which the publisher hears only an error, is replaced: nothing is undone."""

    class Deaf(FaultyStore):
        def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
            done = super().put_if_unchanged(uri, data, tag)
            if uri.endswith("CURRENT"):
                raise StoreError("The connection was reset.")
            return done

    objects: dict[str, bytes] = {}
    use(FaultyStore(objects))
    cache().load(table(0), key="id")
    use(Deaf(objects))
    version = cache().load(table(1), key="id")

    use(FaultyStore(objects))
    assert (cache("reader").version.id, cache("reader").get(1)) == (version.id, {"id": 1, "number": 1})


def test_an_answer_that_was_lost_and_others_since(
    use: Callable[[FaultyStore], None], cache: Callable[..., Cache]
) -> None:
    """A publisher that hears that it lost, of a pointer that it did replace, doesn't undo what came on top."""
    objects: dict[str, bytes] = {}
    others = FaultyStore(objects)

    class Confused(FaultyStore):
        def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
            done = super().put_if_unchanged(uri, data, tag)
            if uri.endswith("CURRENT") and done:
                use(others)
                on_top.append(cache("other").load(table(2), key="id").id)
                use(self)
                return False
            return done

    use(others)
    first, on_top = cache().load(table(0), key="id"), []
    use(Confused(objects))
    version = cache().load(table(1), key="id")

    use(others)
    reader = cache("reader")
    assert [each.id for each in reader.versions()] == [first.id, version.id, *on_top]
    assert (reader.version.id, reader.get(1)) == (on_top[0], {"id": 1, "number": 2})


@pytest.mark.parametrize(
    ("condition", "refuses"), [("put_if_absent", True), ("put_if_unchanged", True), ("put_if_unchanged", False)]
)
def test_a_store_without_conditions(
    condition: str,
    refuses: bool,  # noqa: FBT001  (a parameter of the test)
    use: Callable[[FaultyStore], None],
    cache: Callable[..., Cache],
) -> None:
    """Whether it refuses conditions or ignores them: nothing is published, and the error says why."""

    class Plain(FaultyStore):
        pass

    def unconditional(self: FaultyStore, uri: str, data: bytes | memoryview, *_: str) -> bool:
        if refuses:
            raise UnsupportedError(f"The store of {uri} has no conditional writes.")
        self.put(uri, data)
        return True

    setattr(Plain, condition, unconditional)
    objects: dict[str, bytes] = {}
    use(Plain(objects))

    with pytest.raises(UnsupportedError, match="condition"):
        cache().load(table(0), key="id")

    assert objects == {}


def test_a_failed_check_sends_nothing(use: Callable[[FaultyStore], None], cache: Callable[..., Cache]) -> None:
    """Checks run before a version is sent; the old one stays, and nothing else."""
    objects: dict[str, bytes] = {}
    use(FaultyStore(objects))
    cache().load(table(1), key="id")
    before = dict(objects)
    client = FaultyStore(objects)
    use(client)

    with pytest.raises(CheckFailedError):
        cache().load(table(2, rows=3), key="id", checks=[min_rows(5)])

    assert objects == before
    assert {uri for _, uri in client.writes} == {uri for _, uri in client.writes if "/building/" in uri}
    assert cache("reader").get(1) == {"id": 1, "number": 1}


@pytest.mark.parametrize("kind", ["arrow", "idx"])
def test_a_flipped_bit(kind: str, use: Callable[[FaultyStore], None], cache: Callable[..., Cache]) -> None:
    """What isn't as it was written isn't read, nor kept; an index can be repaired, from what is there of rows."""
    objects: dict[str, bytes] = {}
    use(FaultyStore(objects))
    cache().load(pa.table({"id": range(4), "number": [1] * 4}), key="id")
    name = next(uri for uri in objects if uri.endswith(kind))
    objects[name] = objects[name][:-1] + bytes([objects[name][-1] ^ 1])
    reader = cache("reader")

    for verb in (lambda: reader.get(1), reader.verify, lambda: cache("other").get_many([1, 2])):
        with pytest.raises(CorruptFileError, match=f"{name} has CRC-32"):
            verb()
    if kind == "arrow":
        with pytest.raises(CorruptFileError):
            reader.repair()
        return

    assert reader.repair() == [name.rpartition("/")[2]]
    assert (reader.get(1), reader.verify().id) == ({"id": 1, "number": 1}, reader.version.id)


def test_an_object_is_missing(use: Callable[[FaultyStore], None], cache: Callable[..., Cache]) -> None:
    """A shard that is gone is named where a key in it is asked for; nobody can roll back to its version."""
    objects: dict[str, bytes] = {}
    use(FaultyStore(objects))
    first = cache().load(table(1), key="id")
    cache().load(table(2), key="id")
    gone = [uri for uri in objects if first.id in uri and uri.endswith(".arrow")]
    for uri in gone:
        del objects[uri]

    any_of_them = "|".join(map(re.escape, gone))  # they are asked for at once, and any may be missed first
    with pytest.raises(ObjectNotFoundError, match=any_of_them):
        cache("reader").rollback()
    with pytest.raises(ObjectNotFoundError, match=first.id):
        cache("reader").at(first.id).get(1)
    assert cache("reader").get(1) == {"id": 1, "number": 2}


def test_a_manifest_or_pointer_that_cannot_be_decoded(
    use: Callable[[FaultyStore], None], cache: Callable[..., Cache]
) -> None:
    """They are named; and a collection that can't tell what a version needs removes nothing."""
    objects: dict[str, bytes] = {}
    use(FaultyStore(objects))
    first = cache().load(table(1), key="id")
    manifest = next(uri for uri in objects if uri.endswith("manifest.json"))
    objects[manifest] = objects[manifest][:100]
    kept = dict(objects)

    for verb in (lambda: cache("reader").get(1), cache("reader", keep=1).gc):
        with pytest.raises(CorruptFileError, match=manifest):
            verb()
    assert objects == kept
    assert first.id in manifest
    pointer = f"{ROOT}/scores/CURRENT"
    objects[pointer] = json.dumps({"format": 99}).encode()
    with pytest.raises(UnsupportedError, match=pointer):
        cache("reader").get(1)
