"""A node of a cluster dies, and its replica takes over."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import valkey
from loopback import free_port

from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow_io.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lakeflow.cache import Cache


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_readers_and_pushers_follow_to_the_replica(
    running: Any, local_and_pushed: Any, rows_of: Any, cache: Cache, tmp_path: Path
) -> None:
    """Though the address that they were given is the one that died; while nobody has taken over, it is an error."""
    with ExitStack() as stack:
        servers = [ExitStack(), stack]
        stack.callback(servers[0].close)
        ports, buses = [], []
        for number, server in enumerate(servers):
            (tmp_path / f"node{number}").mkdir()
            buses.append(str(free_port()))
            # News goes round often; and nobody takes over unless told.
            options = ["--cluster-enabled", "yes", "--cluster-port", buses[-1], "--cluster-node-timeout", "1000"]
            options += ["--cluster-replica-no-failover", "yes", "--repl-diskless-sync-delay", "0"]
            ports.append(server.enter_context(running(tmp_path / f"node{number}", *options)))
        master, replica = (stack.enter_context(valkey.Valkey(port=port)) for port in ports)
        master.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        replica.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], buses[0])
        name = master.execute_command("CLUSTER", "MYID").decode()
        _wait(lambda: name.encode() in replica.execute_command("CLUSTER", "NODES", NEVER_DECODE=True))
        _wait(lambda: replica.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        replica.execute_command("CLUSTER", "REPLICATE", name)
        _wait(lambda: replica.info("replication").get("master_link_status") == "up")
        local_and_pushed(cache, f"valkey://127.0.0.1:{ports[0]}", rows_of("a", 2000))
        _wait(lambda: len(replica.keys("*")) == len(master.keys("*")))
        _wait(lambda: str(ports[1]) in str(master.execute_command("CLUSTER SLOTS")))
        reader = ValkeyCache("scores", f"valkey://127.0.0.1:{ports[0]}")
        assert reader.get(5)["tag"] == "a"

        servers[0].close()
        with pytest.raises(StoreError):
            reader.get_many(range(2000))
        replica.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")

        assert {"a"} == set(reader.get_many(range(2000))["tag"].to_pylist())
        cache.load(rows_of("b", 2000), key="id")
        assert push(cache, f"valkey://127.0.0.1:{ports[1]}").rows == 2000
        assert {"b"} == set(reader.get_many(range(2000))["tag"].to_pylist())
