"""The server as users start it, and the application without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lakeflow.serve.asgi import Application


@contextmanager
def _serving(
    root: Path, *options: str, output: Any = subprocess.DEVNULL
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`lakeflow serve` on a free port, ready."""
    port = free_port()
    where = ["--root", str(root), "--port", str(port), "--drain-seconds", "0"]
    command = [sys.executable, "-m", "lakeflow", "serve", *where, *options]
    environment = {**os.environ, "TMPDIR": str(root.parent)}  # also what a killed server leaves goes with the test
    with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, env=environment) as process:
        try:
            url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
            while True:
                try:
                    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
                    break
                except httpx.TransportError:
                    assert process.poll() is None, process.stderr.read()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            yield process, url
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[tuple[subprocess.Popen[bytes], str]]]:
    """Starts a server over the caches of a folder, with more options, in a block; gives its process and its URL."""
    return _serving


def _ask(application: Application, *requests: tuple[Any, ...], root_path: str = "") -> list[httpx.Response]:
    """Each request is a method, a path and, where there is more, a dict of httpx's options."""
    transport = httpx.ASGITransport(application, root_path=root_path)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            return [await client.request(method, path, **dict(*more)) for method, path, *more in requests]

    return anyio.run(ask)


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[httpx.Response]]:
    """Asks an application without a server, as an outer application would."""
    return _ask
