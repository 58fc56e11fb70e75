"""A cache on an object store does what one in a folder does."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.cache import Cache
from lakeflow_io.errors import AccessDeniedError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache_place import Place


def table(number: int, rows: int = 10) -> pa.Table:
    """Rows that all carry a number."""
    return pa.table({"id": range(rows), "number": [number] * rows})


def test_another_machine_reads_what_was_published(place: Place) -> None:
    """Single keys, many keys, misses, columns, sizes; also after the object was pickled."""
    place.cache().load(table(1), key="id", source="kg.titles@7")

    reader = pickle.loads(pickle.dumps(place.cache("there")))

    assert [reader.get(3), reader.get(99)] == [{"id": 3, "number": 1}, None]
    assert reader.get_many([5, 99, 5], columns=["number"]).to_pydict() == {
        "number": [1, None, 1],
        "found": [True, False, True],
    }
    assert (len(reader), reader.key, reader.version.source) == (10, "id", "kg.titles@7")
    assert reader.stats().disk_bytes == sum(place.objects().values())
    assert reader.verify() == reader.version


def test_string_keys_and_no_rows_at_all(place: Place) -> None:
    """Keys of several columns, and a version without rows."""
    cache = place.cache()
    cache.load(pa.table({"user": ["ann", "bob"], "title": [1, 2], "score": [0.5, None]}), key=["user", "title"])
    pair = place.cache("there").get(("ann", 1))
    cache.load(table(0).slice(0, 0), key="id")

    assert pair == {"user": "ann", "title": 1, "score": 0.5}
    assert place.cache("there").get(1) is None


def test_versions_follow_each_other(place: Place) -> None:
    """`keep`, pins, `at`, `diff`, `rollback`; what a publish retires goes, objects and all."""
    cache, reader = place.cache(keep=2, grace=0), place.cache("there")
    first = cache.load(table(1), key="id", run_id="first")
    cache.pin(first.id)
    others = [cache.load(table(number, 11), key="id", run_id=f"run-{number}") for number in (2, 3, 4)]

    assert [version.run_id for version in reader.versions()] == ["first", "run-3", "run-4"]
    assert {name.split("/")[1] for name in place.objects() if name.startswith("versions/")} == {
        first.id, others[1].id, others[2].id,
    }  # fmt: skip
    assert (reader.get(1), reader.at(first.id).get(1)) == ({"id": 1, "number": 4}, {"id": 1, "number": 1})
    assert reader.diff(first.id).read_all()["_change_type"].to_pylist().count("added") == 1
    assert (cache.rollback().run_id, reader.get(1)) == ("run-3", {"id": 1, "number": 3})
    assert (cache.rollback(first.id).id, reader.version.pinned) == (first.id, True)
    cache.unpin(first.id)
    assert not reader.version.pinned
    with pytest.raises(NotFoundError, match="nothing"):
        cache.rollback("nothing")


def test_a_run_publishes_once(place: Place) -> None:
    """The same run id again is the same version, from wherever it comes."""
    first = place.cache().load(table(1), key="id", run_id="monday")

    again = place.cache("there").load(table(2), key="id", run_id="monday")

    assert (again.id, place.cache().get(1)) == (first.id, {"id": 1, "number": 1})


def test_an_update_sends_what_changes(place: Place, small_shards: Callable[[int], None]) -> None:
    """Shards in which nothing changes are the same objects; they stay when the version that wrote them goes."""
    small_shards(100)
    cache, reader = place.cache(keep=1, grace=0), place.cache("there")
    first = cache.load(table(1, 1000), key="id")
    shards = reader.stats().shards

    version = cache.update(pa.table({"id": [5], "number": [2]}), delete=[6])
    stored = [name for name in place.objects() if name.endswith(".arrow")]

    assert shards >= 10
    assert (reader.get(5), reader.get(6), reader.get(7)) == ({"id": 5, "number": 2}, None, {"id": 7, "number": 1})
    assert version.reused_bytes > version.bytes * 0.7
    assert len(stored) == shards  # those of the first version that changed went with it
    assert [each.id for each in cache.versions()] == [version.id]
    assert sum(name.startswith(f"versions/{first.id}/") for name in stored) == shards - len(
        [name for name in stored if name.startswith(f"versions/{version.id}/")]
    )
    assert place.cache("elsewhere").verify().id == version.id


def test_two_publishers_at_once(place: Place) -> None:
    """Loads at once are one version each, and updates at once all count; nothing is left over."""
    place.cache().load(table(0, 4), key="id")
    barrier = Barrier(4)

    def publish(number: int) -> str:
        cache = place.cache(f"machine-{number}", keep=10)
        barrier.wait()
        return cache.update(pa.table({"id": [number], "number": [number + 10]})).id

    with ThreadPoolExecutor(4) as pool:
        published = list(pool.map(publish, range(4)))

    cache = place.cache("there")
    assert [cache.get(number) for number in range(4)] == [{"id": n, "number": n + 10} for n in range(4)]
    assert len({*published}) == 4
    assert len(cache.versions()) == 5
    cache.verify()
    assert [name for name in place.objects() if name.startswith("building/")] == []


def test_twin_runs_publish_one_version(place: Place) -> None:
    """Of publishers with one run id the first wins, and the others return its version."""
    barrier = Barrier(3)

    def publish(number: int) -> str:
        cache = place.cache(f"machine-{number}")
        barrier.wait()
        return cache.load(table(number), key="id", run_id="monday").id

    with ThreadPoolExecutor(3) as pool:
        published = set(pool.map(publish, range(3)))

    assert len(published) == 1
    assert [version.id for version in place.cache().versions()] == list(published)


def test_a_run_fills_a_cache(pair: Any, place: Place) -> None:
    """`precompute`: segments go through the store and are gone afterwards; a rerun is a no-op; an update is one."""

    def predict(rows: pa.Table) -> pa.Table:
        return rows.select(["id"]).append_column("number", pa.array([7] * rows.num_rows))

    cache = place.cache()
    scan = pair.source.scan()
    run = lf.precompute(scan, predict, cache=cache, key="id", run_id="monday")
    again = lf.precompute(scan, predict, cache=place.cache("there"), key="id", run_id="monday")
    update = lf.precompute(scan, predict, cache=cache, key="id", run_id="tuesday", update=True)

    assert (run.version_id, len(cache), cache.get(3)) == (again.version_id, 40, {"id": 3, "number": 7})
    assert (update.version_id, update.rows) == (cache.version.id, 40)
    assert [name for name in place.objects() if name.startswith("staging/")] == []


def test_nothing_was_published(place: Place) -> None:
    """Every verb that needs a version says so, and where."""
    cache = place.cache()
    verbs: list[Callable[[], Any]] = [
        lambda: cache.get(1), cache.verify, cache.rollback, cache.gc, cache.pin, cache.stats, cache.fetch,
        lambda: cache.update(table(1)), lambda: cache.at("x"),
    ]  # fmt: skip

    for verb in verbs:
        with pytest.raises(NotFoundError, match=place.root):
            verb()
    assert cache.versions() == []
    with pytest.raises(InputError, match="refresh"):
        place.cache(refresh=-1)


def test_wrong_keys_of_the_store(s3_place: Place) -> None:
    """Who may not read or write gets an error that names the object and what to check."""
    s3_place.cache().load(table(1), key="id")
    stranger = Cache("scores", s3_place.root, storage={**s3_place.storage, "s3.secret-access-key": "wrong"})

    for verb in (lambda: stranger.get(1), lambda: stranger.load(table(2), key="id"), stranger.gc, stranger.versions):
        with pytest.raises(AccessDeniedError, match=r"(?s)s3://plain/.*s3\.secret-access-key"):
            verb()
    assert s3_place.cache("there").get(1) == {"id": 1, "number": 1}
