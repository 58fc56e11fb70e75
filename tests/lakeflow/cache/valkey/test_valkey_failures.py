"""A push that fails, for whatever reason, leaves the old version readable and says what to do."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import valkey

import lakeflow.cache.valkey.pusher as push_module
import lakeflow.cache.valkey.reader as reader_module
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cli import main
from lakeflow_io.errors import (
    AccessDeniedError,
    CommitConflictError,
    ConfigError,
    NotFoundError,
    StoreError,
    StoreFullError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.cache import Cache

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


def test_a_push_that_is_killed_leaves_the_old_version(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any
) -> None:
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
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
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
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
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
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
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


def test_a_reader_follows_to_another_key_type(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str) -> None:
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


def test_a_full_server_keeps_the_old_version(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any
) -> None:
    """The push fails as one without space, and goes through once there is room."""
    reader = local_and_pushed(cache, url, rows_of("a"))
    cache.load(rows_of("b" * 1000, 12_000), key="id")
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + (6 << 20))

    with pytest.raises(StoreFullError, match="No memory left"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"
    raw.config_set("maxmemory", 0)
    assert push(cache, url).written


def test_a_server_that_evicts_is_refused(rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
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


def test_a_server_out_of_reach(free_port: Any, rows_of: Any, cache: Cache) -> None:
    """A store's error with the address and without the password, for readers and pushers."""
    cache.load(rows_of("a"), key="id")
    url = f"valkey://me:secret@127.0.0.1:{free_port()}/0"

    for act in (lambda: push(cache, url), lambda: ValkeyCache("scores", url).get(1)):
        with pytest.raises(StoreError, match=r"Can't reach valkey://127\.0\.0\.1") as caught:
            act()
        assert "secret" not in str(caught.value)


def test_a_server_that_dies_during_a_push(
    running: Any, rows_of: Any, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store's error, with a note that the lock couldn't be given back."""
    cache.load(rows_of("a"), key="id")
    folder = tmp_path / "server"
    folder.mkdir()
    with running(folder) as port:
        monkeypatch.setattr(push_module, "_refuse_eviction", lambda server: server.client.shutdown(nosave=True))

        with pytest.raises(StoreError, match="Can't reach") as caught:
            push(cache, f"valkey://127.0.0.1:{port}")

    assert "stays for up to 60 seconds" in caught.value.__notes__[0]


def test_a_wrong_password_is_denied(running: Any, rows_of: Any, cache: Cache, tmp_path: Path) -> None:
    """So is none."""
    cache.load(rows_of("a"), key="id")
    with running(tmp_path, "--requirepass", "right") as port:
        for user in ("", ":wrong@"):
            with pytest.raises(AccessDeniedError):
                push(cache, f"valkey://{user}127.0.0.1:{port}")

        assert push(cache, f"redis://:right@127.0.0.1:{port}").written


def test_a_cluster_holds_a_cache_on_one_node(
    free_port: Any, running: Any, local_and_pushed: Any, rows_of: Any, cache: Cache, tmp_path: Path
) -> None:
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


def test_the_command_line_pushes(rows_of: Any, cache: Cache, url: str, capsys: Any) -> None:
    """And says so, also where there is nothing to do."""
    cache.load(rows_of("a"), key="id")

    for _ in range(2):
        main(["cache", "--root", cache.root, "push", "scores", url])

    first, second = capsys.readouterr().out.splitlines()
    assert "is current there, 100 rows; 0 old ones removed." in first
    assert "was current there already" in second
    assert ValkeyCache("scores", url).get(5) == {"id": 5, "tag": "a"}
