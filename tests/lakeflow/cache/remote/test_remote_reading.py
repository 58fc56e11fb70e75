"""Readers of a store: what they ask for and when, what they keep, and who waits for it."""

from __future__ import annotations

import itertools
import os
import resource
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from faulty_store import ROOT, FaultyStore, clients

import lakeflow.cache.remote.fetch as fetch_module
from lakeflow.cache import Cache
from lakeflow_io.errors import ConfigError, InputError, NotFoundError, StoreError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Machine:
    """A cache's objects, a client that counts what it is asked, and folders of copies."""

    def __init__(self, use: Callable[[FaultyStore], None], folder: Path) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.at: Callable[[str, str], None] = lambda *_: None
        self.folder = folder
        self._counting = threading.Lock()
        use(FaultyStore(self.objects, at=self._note))

    def cache(self, machine: str = "here", limit: int = 1 << 30, **options: Any) -> Cache:
        """The cache `scores`, with a limit for copies."""
        storage = {"lakeflow.shard-cache.folder": str(self.folder / machine), "lakeflow.shard-cache.bytes": str(limit)}
        return Cache("scores", ROOT, storage=storage, **options)

    def copies(self, machine: str) -> list[Path]:
        """Files that are kept on a machine."""
        return sorted(path for path in (self.folder / machine / "kept").rglob("*") if path.is_file())

    def _note(self, verb: str, uri: str) -> None:
        with self._counting:
            self.asked[f"{verb} {uri.rpartition('/')[2] if verb != 'get_range' else uri.rpartition('.')[2]}"] += 1
        self.at(verb, uri)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    """A store without a cache."""
    with clients(monkeypatch) as use:
        yield Machine(use, tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The readers' clock, in seconds."""
    now = [1000.0]
    monkeypatch.setattr("lakeflow.cache.remote.reader.time.monotonic", lambda: now[0])
    return now


def table(number: int, rows: int = 10) -> pa.Table:
    """Rows that all carry a number."""
    return pa.table({"id": range(rows), "number": [number] * rows})


def wait_for(said: Callable[[], bool]) -> None:
    """Wait for a thread, half a minute at most."""
    deadline = time.perf_counter() + 30
    while not said():
        assert time.perf_counter() < deadline
        time.sleep(0.001)


def test_a_reader_asks_once_in_a_while(machine: Machine, clock: list[float]) -> None:
    """One look at the pointer for each `refresh` seconds in which there are requests, whatever their number."""
    machine.cache().load(table(1), key="id")
    reader = machine.cache("reader", refresh=5)
    reader.get(1)
    machine.asked.clear()

    for _ in range(100):
        reader.get(2)
    first = dict(machine.asked)
    for moment in (6.0, 6.5, 12.0, 100.0):
        clock[0] = 1000 + moment
        for _ in range(10):
            reader.get(2)
        looked = reader._reader._thread  # type: ignore[attr-defined]
        looked.join()

    assert first == {}
    assert machine.asked == {"get_if_changed CURRENT": 3}


def test_no_request_waits_for_a_look(machine: Machine, clock: list[float]) -> None:
    """While the store is slow to say what is current, requests are answered from the version that is here."""
    machine.cache().load(table(1), key="id")
    reader = machine.cache("reader", refresh=5)
    reader.get(1)
    machine.cache().load(table(2), key="id")
    held = threading.Event()
    machine.at = lambda verb, _: held.wait(30) and None if verb == "get_if_changed" else None
    clock[0] += 6

    before = [reader.get(1)["number"] for _ in range(100)]
    held.set()
    reader._reader._thread.join()  # type: ignore[attr-defined]
    after = reader.get(1)["number"]

    assert (set(before), after) == ({1}, 2)


def test_threads_that_open_at_once_ask_once(machine: Machine) -> None:
    """Of eight threads that find nothing open, one opens the version; those that waited for it don't ask again."""
    machine.cache().load(table(1), key="id")
    reader, barrier = machine.cache("reader", refresh=60), threading.Barrier(8)
    machine.asked.clear()

    def read(_: int) -> Any:
        barrier.wait()
        return reader.get(1)

    machine.at = lambda verb, _: time.sleep(0.02) if verb == "get_if_changed" else None  # so that most of them wait
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(read, range(8)))

    assert rows == [{"id": 1, "number": 1}] * 8
    assert machine.asked["get_if_changed CURRENT"] < 8
    assert machine.asked["get manifest.json"] == 1


def test_what_one_publishes_one_reads(machine: Machine) -> None:
    """After its own publish, update or rollback an object reads that version, whatever `refresh` is."""
    cache = machine.cache(refresh=3600)
    seen = []

    cache.load(table(1), key="id")
    seen.append(cache.get(1)["number"])
    cache.load(table(2), key="id")
    seen.append(cache.get(1)["number"])
    cache.update(pa.table({"id": [1], "number": [3]}))
    seen.append(cache.get(1)["number"])
    cache.rollback()
    seen.append(cache.get(1)["number"])

    assert seen == [1, 2, 3, 2]


def test_only_what_is_asked_for_is_fetched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard comes whole when a key in it is first asked for, and once; `fetch` brings all of them."""
    monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", 100)
    shards = len(machine.cache().load(table(1, 1000), key="id") and machine.cache()._version().shards)
    reader = machine.cache("reader", refresh=3600)
    machine.asked.clear()

    for _ in range(3):
        reader.get(1)
    one = machine.asked["get_range arrow"]
    machine.cache("reader").get(1)
    again = machine.asked["get_range arrow"]
    reader.fetch()
    every = machine.asked["get_range arrow"]

    assert (one, again, every) == (1, 1, shards)
    assert len(machine.copies("reader")) == 2 * shards


def test_a_new_version_is_fetched_before_it_is_read(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards that were in use of the old version are here when the new one is first read; others wait."""
    monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", 100)
    machine.cache().load(table(1, 1000), key="id")
    reader, whole = machine.cache("reader", refresh=0), machine.cache("whole", refresh=0)
    reader.get(1)
    whole.fetch()
    machine.cache("other").load(table(2, 1000), key="id")
    for cache in (reader, whole):
        wait_for(lambda cache=cache: cache.version.current)  # type: ignore[misc]
    machine.asked.clear()

    mapped = [sum(shard is not None for shard in cache._version().shards._mapped) for cache in (reader, whole)]  # type: ignore[attr-defined]

    assert reader.get(1) == {"id": 1, "number": 2}
    assert whole.get_many(range(1000))["number"].to_pylist() == [2] * 1000
    assert (mapped[0], mapped[1]) == (1, len(whole._version().shards))
    assert machine.asked["get_range arrow"] == 0


def test_a_copy_is_fetched_once_for_all_processes(machine: Machine) -> None:
    """Eight readers that need one shard at the same moment send one of them."""
    machine.cache().load(table(1), key="id")
    machine.asked.clear()

    def read(_: int) -> Any:
        return machine.cache("reader").get(1)

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(read, range(8)))

    assert rows == [{"id": 1, "number": 1}] * 8
    assert (machine.asked["get_range arrow"], machine.asked["get_range idx"]) == (1, 1)


def test_what_a_killed_reader_left_is_not_taken_for_whole(machine: Machine) -> None:
    """Half a file under the name of a draft is written anew; one under its own name, cut, is fetched again."""
    machine.cache().load(table(1, 1000), key="id")
    machine.cache("reader").get(1)
    for path in machine.copies("reader"):
        half = path.read_bytes()[: path.stat().st_size // 2]
        path.unlink()
        (path.with_name(path.name + ".part") if path.suffix == ".arrow" else path).write_bytes(half)

    rows = machine.cache("reader").get_many(range(1000))

    assert rows["number"].to_pylist() == [1] * 1000
    assert [path.suffix for path in machine.copies("reader")] == [".arrow", ".idx"]


def test_a_fetch_that_fails_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is refused in the middle of a shard is an error, and the next request fetches it."""
    monkeypatch.setattr(fetch_module, "_PART_BYTES", 1000)
    monkeypatch.setattr("lakeflow_io.reader.fetch._ATTEMPTS", 1)
    machine.cache().load(table(1, 1000), key="id")
    numbers = itertools.count(1)

    def refuse(verb: str, _: str) -> None:
        if verb == "get_range" and next(numbers) == 4:  # of threads that ask at once, one is told so
            raise StoreError("The connection was reset.")

    machine.at = refuse
    reader = machine.cache("reader")
    with pytest.raises(StoreError, match="reset"):
        reader.get(1)
    left = machine.copies("reader")

    assert (left, reader.get(1)) == ([], {"id": 1, "number": 1})


def test_copies_stay_within_their_limit(machine: Machine) -> None:
    """What was used least lately goes when there is more than the limit; what is mapped is read on."""
    reader, ids = machine.cache("reader", limit=50_000, refresh=0), []
    views = []
    for number in range(4):
        ids.append(machine.cache(keep=9).load(table(number, 1000), key="id").id)
        views.append(machine.cache("reader", limit=50_000).at(ids[-1]))
        views[-1].get(1)
        for path in machine.copies("reader"):
            os.utime(path, (path.stat().st_mtime - 1000,) * 2)

    kept = {path.parent.name for path in machine.copies("reader")}
    sizes = sum(path.stat().st_size for path in machine.copies("reader"))

    assert kept == {ids[-1], ids[-2]}
    assert sizes <= 50_000 + sizes / 2  # the newest is never one that has to go
    assert [view.get(1)["number"] for view in views] == [0, 1, 2, 3]
    assert reader.get(1)["number"] == 3


@pytest.mark.parametrize("verb", ["gc", "get"])
def test_what_a_killed_builder_left_goes(machine: Machine, verb: str) -> None:
    """The folder of a dead publisher goes with the next publish, fetch or collection; a living one's stays."""
    machine.cache().load(table(1), key="id")
    building = machine.folder / "reader" / "building"
    (building / "dead").mkdir(parents=True)
    (building / "dead" / "shard-0000.arrow").write_bytes(b"half")

    with machine.cache("reader")._shelf.scratch() as living:
        cache = machine.cache("reader")
        assert cache.gc() if verb == "gc" else cache.get(1)
        left = list(building.iterdir())

    assert left == [living]
    assert list(building.iterdir()) == []


def test_a_builder_renews_its_claim(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it lives; one that was taken away doesn't come back, and at the end there is none."""
    monkeypatch.setattr("lakeflow.cache.remote.lease.LEASE_SECONDS", 0.06)
    shelf = machine.cache()._shelf

    def claims() -> list[bytes]:
        return [data for uri, data in list(machine.objects.items()) if "/building/" in uri]

    with shelf.claimed():
        first = claims()
        wait_for(lambda: claims() not in ([], first))
        machine.objects.clear()
        wait_for(lambda: "lakeflow-lease" not in [thread.name for thread in threading.enumerate()])
        assert claims() == []
    with shelf.claimed():
        assert len(claims()) == 1
    assert machine.objects == {}


def test_the_store_is_out_of_reach(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """A reader goes on with the version that it has, says so once, and follows when the store is back."""
    machine.cache().load(table(1), key="id")
    reader = machine.cache("reader", refresh=0)
    reader.get(1)
    machine.cache().load(table(2), key="id")

    def refuse(verb: str, _: str) -> None:
        raise StoreError(f"No route to host, {verb}.")

    machine.at = refuse
    seen = [reader.get(1)["number"] for _ in range(3)]
    machine.at = lambda *_: None
    wait_for(lambda: reader.get(1)["number"] == 2)

    assert seen == [1, 1, 1]
    assert [record.message for record in caplog.records if "goes on" in record.message] == [
        f"Cache {ROOT}/scores goes on with the version that it has: No route to host, get_if_changed."
    ]


def test_a_cache_that_is_deleted_is_gone(machine: Machine) -> None:
    """Where there is no pointer any more, a reader says that there is no version."""
    machine.cache().load(table(1), key="id")
    reader = machine.cache("reader", refresh=0)
    reader.get(1)
    machine.objects.clear()

    with pytest.raises(NotFoundError, match="has no version"):
        reader.get(1)


def test_a_forked_reader_follows(machine: Machine) -> None:
    """A child has none of its parent's threads, and needs none."""
    machine.cache().load(table(1), key="id")
    reader = machine.cache("reader", refresh=0)
    reader.get(1)
    reader._reader._lock.acquire()  # type: ignore[attr-defined]  # as a look of the parent's may at that moment
    machine.cache().load(table(2), key="id")
    child = os.fork()
    if not child:
        os._exit(0 if reader.get(1)["number"] == 2 else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_there_is_no_room_for_copies(machine: Machine) -> None:
    """Where the folder for copies can't be made, the error names it, and nothing is published."""
    machine.cache().load(table(1), key="id")
    (machine.folder / "file").touch()
    before = dict(machine.objects)
    blocked = machine.cache("file")

    for verb in (lambda: blocked.get(1), lambda: blocked.load(table(2), key="id")):
        with pytest.raises(StoreError, match=str(machine.folder / "file")):
            verb()
    assert machine.objects == before


def test_the_disk_for_copies_is_full(machine: Machine) -> None:
    """A shard that finds no room is an error that says so; nothing of it stays, and no thread that fetched it."""
    machine.cache().load(table(1, 10_000), key="id")
    reader = machine.cache("reader")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(StoreFullError, match="No space left"):
            reader.get(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert machine.copies("reader") == []
    assert [thread.name for thread in threading.enumerate() if "shards" in thread.name] == []
    assert reader.get(1) == {"id": 1, "number": 1}


def test_where_copies_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under $XDG_CACHE_HOME, of this store alone; a limit that is no size, and no home at all, are refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    memory = Cache("scores", "memory://copies/caches")
    memory.load(table(1), key="id")
    folders = {Cache("scores", "s3://b", storage=each)._shelf.copies.home("v") for each in  # type: ignore[attr-defined]
               ({}, {"s3.endpoint": "http://one"}, {"s3.endpoint": "http://two"})}  # fmt: skip

    assert [path.suffix for path in sorted((tmp_path / "lakeflow" / "shards").rglob("shard-*"))] == [".arrow", ".idx"]
    assert len(folders) == 3
    with pytest.raises(InputError, match="much"):
        Cache("scores", "memory://copies/caches", storage={"lakeflow.shard-cache.bytes": "much"}).get(1)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.expanduser", _homeless)
    with pytest.raises(ConfigError, match=r"lakeflow\.shard-cache\.folder"):
        Cache("scores", "memory://copies/caches").get(1)


def _homeless(_: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")
