"""Servers that tests run as processes of their own, on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

__all__ = ["free_port", "listening"]


_held: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on, and that is given to nobody else as long as this process lives.

    It stays bound, without a listener: whoever asks for any port gets another one, and who connects to it is refused
    until a server is told to listen on it, which may, as it allows addresses to be used again (SO_REUSEADDR).
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    port: int = held.getsockname()[1]
    return port


@contextmanager
def listening(command: Sequence[str | Path], port: int, log: Path) -> Generator[None]:
    """Run a server until the block ends.

    Args:
        command: What starts it.
        port: Where it takes connections, from when the block begins.
        log: The file that what it prints is added to.
    """
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            yield
        finally:
            process.kill()
