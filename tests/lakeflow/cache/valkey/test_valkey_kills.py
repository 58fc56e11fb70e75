"""A pusher that is killed at any moment: the old version is served, the next push goes on, nothing is left."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cache.valkey.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakeflow.cache import Cache

    Pusher = Callable[..., int]

ROWS = 2000
KILLS = 6
KILLED = -signal.SIGKILL
BOTH = ("send", "sendall")
LOCK, PUSHES = b"lakeflow:{scores}:PUSH", b"lakeflow:{scores}:PUSHES"

# Forks for each line it reads, and pushes in the child, which dies before it hands the n-th piece to the kernel: `send`
# takes pieces of rows, `sendall` all other commands.
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
    root, url, left, calls = json.loads(line)
    child = os.fork()
    if not child:
        began = left
        for call in calls:
            setattr(socket.socket, call, dying(getattr(socket.socket, call)))
        pusher.push(Cache("scores", root), url)
        print(began - left, flush=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        print(code, flush=True)
"""


@pytest.fixture(scope="module")
def pusher() -> Iterator[Pusher]:
    """Push in a process that dies at its n-th piece; -9, or how many there were where it lived."""
    command = [sys.executable, "-c", PUSHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def run(cache: Cache, url: str, at: int, *calls: str) -> int:
            stdin.write(json.dumps([cache.root, url, at, calls]) + "\n")
            stdin.flush()
            return int(stdout.readline())

        yield run
        stdin.close()


def killed(push: Callable[[int], int], load: Callable[[], object], share: float, pieces: int) -> int:
    """Kill a push when it has sent a share of its pieces.

    A server that answers faster than it did is asked less often, so a push may live: then another one is killed, of
    another version.

    Args:
        push: Dies at its n-th piece; else, how many there were.
        load: Makes the version to push.
        share: Below 1.
        pieces: How many there were the last time.

    Returns:
        How many there were, as far as is known now.
    """
    load()
    while (lived := push(1 + int(share * pieces))) != KILLED:
        pieces = lived
        load()
    return pieces


@pytest.mark.parametrize("where", ["a server", "a cluster"])
def test_kills_at_random_moments(
    pusher: Pusher,
    rows_of: Any,
    cache: Cache,
    keys_of: Any,
    request: pytest.FixtureRequest,
    where: str,
) -> None:
    """Each kill leaves one whole version to readers; after the next push the server holds two, and no key more."""
    url = request.getfixturevalue("url" if where == "a server" else "cluster_url")
    nodes = Nodes.at(url)
    ports = [owner.port for owner in nodes.masters]
    cache.load(rows_of("0", ROWS), key="id")
    push(cache, url)
    cache.load(rows_of("1", ROWS), key="id")
    pieces = pusher(cache, url, 10**6, *BOTH)
    reader, tag = ValkeyCache("scores", url), "1"
    chance, saved = random.Random(6), 0
    shares = [0.0, *(chance.random() for _ in range(KILLS))]

    def push_until(moment: int) -> int:
        return pusher(cache, url, moment, *BOTH)

    for number, share in enumerate(shares):
        new = f"new{number}"
        pieces = killed(push_until, lambda new=new: cache.load(rows_of(new, ROWS), key="id"), share, pieces)
        seen = set(reader.get_many(range(ROWS))["tag"].to_pylist())
        assert seen in ({tag}, {new})
        if chance.random() < 0.3:  # another version comes before anybody goes on
            cache.load(rows_of(new, ROWS), key="id")
        nodes.one(LOCK, "DEL", LOCK)  # what its expiry does
        report = push(cache, url)
        saved += ROWS - report.rows if report.written else 0

        assert {new} == set(reader.get_many(range(ROWS))["tag"].to_pylist())
        listed = nodes.one(PUSHES, "HGETALL", PUSHES)
        held = {name: json.loads(described) for name, described in zip(listed[::2], listed[1::2], strict=True)}
        keys = set.union(*keys_of(ports, nodes.address.database))
        rows = [key for key in keys if not key.endswith((b"CURRENT", b"PUSHES"))]
        assert len(held) <= 2
        assert {*held} == {key.split(b":")[2] for key in rows}
        assert len(rows) == sum(described["buckets"] for described in held.values())
        tag = new

    assert saved > ROWS / 2


def test_a_killed_push_goes_on_where_it_stopped(pusher: Pusher, rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """The lock keeps others out until it expires; what was acknowledged isn't written again."""
    cache.load(rows_of("a", ROWS), key="id")
    pieces = pusher(cache, url, 10**6, "send")

    killed(
        lambda moment: pusher(cache, url, moment, "send"),
        lambda: cache.load(rows_of("b", ROWS), key="id"),
        2 / 3,
        pieces,
    )

    assert 0 < raw.pttl(LOCK) <= 60_000
    raw.delete(LOCK)
    (noted,) = raw.keys("lakeflow:{scores}:*:DONE")
    assert int(raw.get(noted)) > 0

    report = push(cache, url)

    assert report.written
    assert 0 < report.rows < ROWS
    assert not raw.exists(noted)
