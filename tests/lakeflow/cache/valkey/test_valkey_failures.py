"""A push that fails, for whatever reason, leaves the old version readable and says what to do."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import valkey
from loopback import free_port
from reading_meanwhile import seen_whole

import lakeflow.cache.valkey.connection as connection_module
import lakeflow.cache.valkey.lock as lock_module
import lakeflow.cache.valkey.pump as pump_module
import lakeflow.cache.valkey.pusher as push_module
import lakeflow.cache.valkey.store as store_module
from lakeflow.cache import Cache
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cache.valkey.window import Window
from lakeflow.cli import main
from lakeflow_io.errors import (
    AccessDeniedError,
    CommitConflictError,
    ConfigError,
    CorruptFileError,
    NotFoundError,
    StoreError,
    StoreFullError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCK = "lakeflow:{scores}:PUSH"


@pytest.fixture
def in_the_middle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Call something once, when some of the commands of a push have been sent and some haven't."""
    monkeypatch.setattr("lakeflow.cache.valkey.source._STEP_ROWS", 200)

    def arrange(act: Callable[[], object]) -> None:
        made, seen = push_module.frames, iter(range(10**9))

        def acting(*given: Any) -> Any:
            if next(seen) == 5:
                act()
            return made(*given)

        monkeypatch.setattr(push_module, "frames", acting)

    return arrange


@pytest.mark.parametrize("between", ["before", "within the transaction"])
def test_a_push_that_lost_its_lock_changes_nothing(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    """The pointer's change is refused where another pusher has taken over meanwhile, whose lock stays."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b"), key="id")
    exchange = connection_module.Connection.exchange
    sought = b"WATCH" if between == "before" else b"SET\r\n$25\r\nlakeflow:{scores}:CURRENT"

    def exchanging(connection: Any, request: bytes, answers: int) -> Any:
        if sought in request:
            raw.set(LOCK, "another", px=60_000)
        return exchange(connection, request, answers)

    monkeypatch.setattr(connection_module.Connection, "exchange", exchanging)

    with pytest.raises(CommitConflictError, match="took over"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"
    assert raw.get(LOCK) == b"another"


def test_what_is_written_after_the_lock_was_lost_is_removed_by_the_next_push(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, in_the_middle: Any
) -> None:
    """Also where whoever took over has taken the push off the list before."""
    local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b", 5000), key="id")
    in_the_middle(lambda: (raw.set(LOCK, "another", px=60_000), raw.delete("lakeflow:{scores}:PUSHES")))
    with pytest.raises(CommitConflictError):
        push(cache, url)
    raw.delete(LOCK)

    cache.load(rows_of("c"), key="id")
    push(cache, url)

    held = raw.hkeys("lakeflow:{scores}:PUSHES")
    rows = [key for key in raw.keys("*") if key.rpartition(b":")[2] not in (b"CURRENT", b"PUSHES")]
    written = [key for key in rows if key.split(b":")[2] not in held]
    assert len(held) == 1  # the first push's note was deleted above, and with it who knows of its rows
    assert len({key.split(b":")[2] for key in written}) == 1


def test_readers_see_one_whole_version_while_others_are_pushed(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request mixes versions or misses a row, though rows of versions before the last two are removed."""
    monkeypatch.setattr(store_module, "_MGET_BUCKETS", 2)
    reader = local_and_pushed(cache, url, rows_of("first"))

    def many() -> set[str | None]:
        return set(reader.get_many(range(100))["tag"].to_pylist())

    def publish(number: int) -> None:
        cache.load(rows_of(f"v{number}"), key="id")
        push(cache, url)

    seen_whole([many, lambda: {reader.get(5)["tag"]}], publish, times=15, least=4)


def test_two_pushers_at_once(rows_of: Any, url: str, raw: Any, tmp_path: Path) -> None:
    """One of them pushes, the other is told; in the end the server has the last two versions and nothing else."""
    caches = [Cache("scores", tmp_path / name) for name in "ab"]
    done: list[str] = []

    def work(cache: Cache) -> None:
        for number in range(5):
            version = cache.load(rows_of(f"{cache.root}{number}"), key="id").id
            try:
                push(cache, url)
            except CommitConflictError:
                continue
            done.append(version)

    threads = [threading.Thread(target=work, args=(cache,)) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    reader = ValkeyCache("scores", url)
    assert done
    assert done[-1] == reader.version.id
    assert len({row["tag"] for row in reader.get_many(range(100), to="dict").values()}) == 1
    held = raw.hkeys("lakeflow:{scores}:PUSHES")
    assert len(held) == min(len(done), 2)
    assert {b"CURRENT", b"PUSHES", *held} == {key.split(b":")[2] for key in raw.keys("*")}


def test_a_reader_follows_to_another_key_type(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str) -> None:
    """A version with text for keys is read by a reader that knew integers."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    assert reader.get(1)["tag"] == "a"

    cache.load(pa.table({"id": ["k"], "tag": ["b"]}), key="id")
    push(cache, url)

    assert reader.get("k") == {"id": "k", "tag": "b"}


@pytest.mark.parametrize("kind", [pa.struct([("a", pa.int64()), ("a", pa.string())])], ids=str)
def test_a_column_without_an_exact_form_is_refused(cache: Cache, url: str, raw: Any, kind: pa.DataType) -> None:
    """By its name, before anything is written."""
    cache.load(pa.table({"id": [1], "odd": pa.nulls(1, kind)}), key="id")

    with pytest.raises(UnsupportedError, match="'odd'"):
        push(cache, url)

    assert raw.dbsize() == 0


def test_what_an_earlier_lakeflow_pushed_is_to_be_pushed_again(rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """Readers and pushers say so, and what to do with its rows."""
    raw.set("lakeflow:{scores}:CURRENT", '{"format": 1}')
    cache.load(rows_of("a"), key="id")

    for act in (lambda: push(cache, url), lambda: ValkeyCache("scores", url).get(1)):
        with pytest.raises(UnsupportedError, match="push again"):
            act()


def test_a_value_that_is_no_bucket_is_corrupt(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any
) -> None:
    """An error of ours for whatever stands there, never another row."""
    reader = local_and_pushed(cache, url, rows_of("a", 3))
    (name,) = [key for key in raw.keys("*") if key.endswith(b":00000000")]
    right = raw.get(name)

    for wrong in (b"x" * 40, b"\xff\xff\xff\x7f" * 3, right[:-1], right[:30], right[:8], b"abc"):
        raw.set(name, wrong)
        for ask in (lambda: reader.get_many([0, 1, 2]), lambda: [reader.get(key) for key in range(3)]):
            try:
                found = ask()
            except CorruptFileError:
                continue
            tags = found["tag"].to_pylist() if isinstance(found, pa.Table) else [row and row["tag"] for row in found]
            assert set(tags) <= {"a", None}


def test_a_server_without_room_is_refused_before_anything_is_written(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any
) -> None:
    """By an estimate from some rows that is near to what they take."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b" * 1000, 12_000), key="id")
    names, before = set(raw.keys("*")), raw.info("memory")["used_memory"]
    raw.config_set("maxmemory", before + (12 << 20))

    with pytest.raises(StoreFullError, match="bytes of memory left, and this version needs about") as caught:
        push(cache, url)

    assert names == set(raw.keys("*"))
    assert reader.get(1)["tag"] == "a"
    needed = int(caught.value.message.rpartition(" ")[2].rstrip(".").replace(",", ""))
    raw.config_set("maxmemory", 0)
    push(cache, url)
    taken = raw.info("memory")["used_memory"] - before
    assert 0.8 < needed / taken < 1.3


def test_the_version_before_makes_room(rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """Where there is memory for two versions and not for three, the one that nobody reads goes first."""
    for tag in "ab":
        cache.load(rows_of(tag * 1000, 5000), key="id")
        push(cache, url)
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + (3 << 20))
    cache.load(rows_of("c" * 1000, 5000), key="id")

    report = push(cache, url)

    assert (report.written, report.removed) == (True, 5000)


@pytest.mark.parametrize("room", [False, True], ids=["stays full", "gets room"])
def test_a_server_that_becomes_full_in_the_middle(
    local_and_pushed: Any,
    rows_of: Any,
    cache: Cache,
    url: str,
    raw: Any,
    in_the_middle: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    room: bool,
) -> None:
    """The push waits for room, with less on its way, and fails without; the next one goes on where it stopped."""
    monkeypatch.setattr(pump_module, "_REFUSED_SECONDS", 0.1 if not room else 60)
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b" * 100, 5000), key="id")
    in_the_middle(lambda: raw.config_set("maxmemory", 1 << 20))
    refused, windows = Window.refused, []

    def refusing(window: Window, now: float) -> float:
        again = refused(window, now)
        windows.append(window.bytes)
        if room:
            raw.config_set("maxmemory", 0)
        return again

    monkeypatch.setattr(Window, "refused", refusing)

    if room:
        assert push(cache, url).rows == 5000
    else:
        with pytest.raises(StoreFullError, match="No memory left"):
            push(cache, url)
        assert reader.get(1)["tag"] == "a"
        raw.config_set("maxmemory", 0)
        assert push(cache, url).written
    assert windows
    assert windows[-1] < Window().bytes
    assert reader.get(1)["tag"] == "b" * 100


def test_a_server_that_is_busy_gets_less_and_the_push_goes_through(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, in_the_middle: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A script that holds it is waited for, by commands and by the renewal of the lock."""
    monkeypatch.setattr(push_module, "_BEAT_SECONDS", 0)
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b", 5000), key="id")
    raw.config_set("busy-reply-threshold", 1)
    other = valkey.Valkey(port=int(url.rpartition(":")[2].partition("/")[0]), single_connection_client=True)
    other.ping()  # connects: a busy server takes nobody in
    patiently, refusals = lock_module.PushLock._attempt, []

    def attempting(lock: Any, commands: Any) -> Any:
        answer = patiently(lock, commands)
        if not isinstance(answer, list):
            refusals.append(answer.code)
            with suppress(valkey.ResponseError):  # it has ended since
                other.script_kill()
        return answer

    monkeypatch.setattr(lock_module.PushLock, "_attempt", attempting)

    def hold() -> None:
        connection = raw.connection_pool.get_connection("EVAL")
        connection.send_command("EVAL", "while true do end", 0)
        with suppress(valkey.ResponseError):  # it says that it is busy
            while other.ping():
                pass

    in_the_middle(hold)

    assert push(cache, url).rows == 5000
    assert refusals[:1] == ["BUSY"]
    assert reader.get(1)["tag"] == "b"


def test_a_server_that_evicts_is_refused(rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """An evicted row would look like a key without one."""
    cache.load(rows_of("a"), key="id")
    raw.config_set("maxmemory", 1 << 30)
    raw.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(ConfigError, match="allkeys-lru"):
        push(cache, url)


def test_a_server_out_of_reach(rows_of: Any, cache: Cache) -> None:
    """A store's error with the address and without the password, for readers and pushers."""
    cache.load(rows_of("a"), key="id")
    url = f"valkey://me:secret@127.0.0.1:{free_port()}/0"

    for act in (lambda: push(cache, url), lambda: ValkeyCache("scores", url).get(1)):
        with pytest.raises(StoreError, match=r"Can't reach valkey://127\.0\.0\.1") as caught:
            act()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("moment", ["in the middle", "before the pointer"])
def test_a_server_that_restarts_during_a_push(
    running: Any,
    local_and_pushed: Any,
    rows_of: Any,
    cache: Cache,
    tmp_path: Path,
    in_the_middle: Any,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """The push fails, since rows may be gone; the old version is served, and the next push writes all rows."""
    port, url = free_port(), ""
    (tmp_path / "server").mkdir()
    options = ["--appendonly", "yes", "--appendfsync", "always"]
    servers = [running(tmp_path / "server", *options, port=port)]
    url = f"valkey://127.0.0.1:{servers[0].__enter__()}"
    try:
        reader = local_and_pushed(cache, url, rows_of("a"))
        cache.load(rows_of("b", 5000), key="id")

        def restart() -> None:
            servers.pop().__exit__(None, None, None)
            servers.append(running(tmp_path / "server", *options, port=port))
            servers[0].__enter__()

        if moment == "in the middle":
            in_the_middle(restart)
        else:
            monkeypatch.setattr(push_module, "check_samples", lambda *_: restart())
        with pytest.raises(StoreError, match=r"has restarted during the push|Can't reach"):
            push(cache, url)

        assert reader.get(1)["tag"] == "a"
        monkeypatch.undo()
        assert push(cache, url).rows == 5000
        assert {"b"} == set(reader.get_many(range(100))["tag"].to_pylist())
    finally:
        servers.pop().__exit__(None, None, None)


def test_a_server_that_dies_during_a_push(
    running: Any, rows_of: Any, cache: Cache, tmp_path: Path, in_the_middle: Any
) -> None:
    """A store's error, with a note that the lock couldn't be given back."""
    cache.load(rows_of("a", 5000), key="id")
    (tmp_path / "server").mkdir()
    server = running(tmp_path / "server")
    url = f"valkey://127.0.0.1:{server.__enter__()}"
    in_the_middle(lambda: server.__exit__(None, None, None))

    with pytest.raises(StoreError, match="Can't reach") as caught:
        push(cache, url)

    assert "stays for up to 60 seconds" in caught.value.__notes__[0]


def test_a_connection_that_stands_still_is_noticed(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, in_the_middle: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A server that is stopped is an error after a while; afterwards the push goes on where it was."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b", 5000), key="id")
    process = raw.info("server")["process_id"]
    in_the_middle(lambda: os.kill(process, signal.SIGSTOP))

    with monkeypatch.context() as impatient:
        for module in (connection_module, pump_module):
            impatient.setattr(module, "ANSWER_SECONDS", 0.2)
        try:
            with pytest.raises(StoreError, match=r"answered nothing for|timed out"):
                push(cache, url)
        finally:
            os.kill(process, signal.SIGCONT)

    assert reader.get(1)["tag"] == "a"
    raw.delete(LOCK)
    assert push(cache, url).written
    assert reader.get(1)["tag"] == "b"


def test_what_a_server_loses_is_noticed_before_the_pointer_moves(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some buckets are read back."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b", 5000), key="id")
    check = push_module.check_samples

    def losing(*given: Any) -> None:
        raw.delete(*raw.keys(f"lakeflow:{{scores}}:{given[-1].id}:*0"))
        check(*given)

    monkeypatch.setattr(push_module, "check_samples", losing)

    with pytest.raises(StoreError, match="is gone, though the server acknowledged it"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"


def test_a_wrong_password_is_denied(running: Any, rows_of: Any, cache: Cache, tmp_path: Path) -> None:
    """So is none."""
    cache.load(rows_of("a"), key="id")
    with running(tmp_path, "--requirepass", "right") as port:
        for user in ("", ":wrong@"):
            with pytest.raises(AccessDeniedError):
                push(cache, f"valkey://{user}127.0.0.1:{port}")

        assert push(cache, f"redis://:right@127.0.0.1:{port}").written


def test_nothing_pushed_and_nothing_published(cache: Cache, url: str) -> None:
    """Both are a cache that isn't there."""
    with pytest.raises(NotFoundError, match="no version"):
        ValkeyCache("scores", url).get(1)
    with pytest.raises(NotFoundError, match="no version"):
        push(cache, url)


def test_the_command_line_pushes_and_reads(rows_of: Any, cache: Cache, url: str, capsys: Any) -> None:
    """And says so, also where there is nothing to do."""
    cache.load(rows_of("a"), key="id")

    for _ in range(2):
        main(["cache", "--root", cache.root, "push", "scores", url])
    main(["cache", "--root", url, "get", "scores", "5", "--json"])

    first, second, third = capsys.readouterr().out.splitlines()
    assert "is current there, 100 rows written; 0 old ones removed." in first
    assert "was current there already" in second
    assert third == '{"id":5,"tag":"a"}'
