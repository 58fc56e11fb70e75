"""A pusher that is killed at any moment: the old version is served, the next push goes on, nothing is left."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow.cache.valkey import ValkeyCache, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakeflow.cache import Cache

ROWS = 2000
KILLS = 8
READ_BACK = 64  # the last pieces ask for rows that were written
LOCK = "lakeflow:{scores}:PUSH"

# Forks for each line it reads, and pushes in the child, which dies before it hands the n-th piece to the kernel.
PUSHER = """
import json, os, signal, socket, sys
import lakeflow.cache.valkey.pusher as pusher, lakeflow.cache.valkey.source as source
import lakeflow.cache.valkey.pump as pump, lakeflow.cache.valkey.window as window
from lakeflow.cache import Cache
source._STEP_ROWS, pusher._BEAT_SECONDS = 200, 0
window._START_BYTES = window.LEAST_BYTES = pump.LEAST_BYTES = 16384

def dying(made):
    def send(*given):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return made(*given)
    return send

for line in sys.stdin:
    root, url, left = json.loads(line)
    child = os.fork()
    if not child:
        began = left
        socket.socket.send, socket.socket.sendall = dying(socket.socket.send), dying(socket.socket.sendall)
        pusher.push(Cache("scores", root), url)
        print(began - left, flush=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        print(code, flush=True)
"""


@pytest.fixture(scope="module")
def pusher() -> Iterator[Callable[[Cache, str, int], int]]:
    """Push in a process that dies at its n-th piece; -9, or how many there were where it lived."""
    command = [sys.executable, "-c", PUSHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def run(cache: Cache, url: str, at: int) -> int:
            stdin.write(json.dumps([cache.root, url, at]) + "\n")
            stdin.flush()
            return int(stdout.readline())

        yield run
        stdin.close()


def test_kills_at_random_moments(
    pusher: Callable[[Cache, str, int], int], rows_of: Any, cache: Cache, url: str, raw: Any
) -> None:
    """Each kill leaves one whole version to readers; after the next push the server holds two, and no key more."""
    cache.load(rows_of("0", ROWS), key="id")
    push(cache, url)
    cache.load(rows_of("1", ROWS), key="id")
    pieces = pusher(cache, url, 10**6)
    reader, tag = ValkeyCache("scores", url), "1"
    chance, saved = random.Random(6), 0
    moments = [1, pieces - 1, pieces, *(chance.randrange(2, pieces) for _ in range(KILLS))]

    for number, moment in enumerate(moments):
        new = f"new{number}"
        cache.load(rows_of(new, ROWS), key="id")
        assert pusher(cache, url, moment) == -9
        seen = set(reader.get_many(range(ROWS))["tag"].to_pylist())
        assert seen in ({tag}, {new})
        if chance.random() < 0.3:  # another version comes before anybody goes on
            cache.load(rows_of(new, ROWS), key="id")
        raw.delete(LOCK)  # what its expiry does
        report = push(cache, url)
        saved += ROWS - report.rows if report.written else 0

        assert {new} == set(reader.get_many(range(ROWS))["tag"].to_pylist())
        held = raw.hkeys("lakeflow:{scores}:PUSHES")
        assert len(held) <= 2
        assert {b"CURRENT", b"PUSHES", *held} == {key.split(b":")[2] for key in raw.keys("*")}
        assert raw.dbsize() == 2 + sum(
            json.loads(raw.hget("lakeflow:{scores}:PUSHES", push_id))["buckets"] for push_id in held
        )
        tag = new

    assert saved > ROWS


def test_a_killed_push_goes_on_where_it_stopped(
    pusher: Callable[[Cache, str, int], int], rows_of: Any, cache: Cache, url: str, raw: Any
) -> None:
    """The lock keeps others out until it expires; what was acknowledged isn't written again."""
    cache.load(rows_of("a", ROWS), key="id")
    pieces = pusher(cache, url, 10**6)
    cache.load(rows_of("b", ROWS), key="id")
    assert pusher(cache, url, (pieces - READ_BACK) * 2 // 3) == -9
    assert 0 < raw.pttl(LOCK) <= 60_000
    raw.delete(LOCK)
    (noted,) = raw.keys("lakeflow:{scores}:*:DONE")
    assert int(raw.get(noted)) > 0

    report = push(cache, url)

    assert report.written
    assert 0 < report.rows < ROWS
    assert not raw.exists(noted)
