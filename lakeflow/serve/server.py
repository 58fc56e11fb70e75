"""Runs the application with granian until a signal ends it."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import signal
import socket
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeflow.cache.layout import CacheFolder
from lakeflow.serve.access import print_lines
from lakeflow.serve.asgi import app
from lakeflow.serve.lingering import lingering
from lakeflow.serve.probes import DRAINING
from lakeflow_io.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from granian.server.common import AbstractServer

    from lakeflow.serve.asgi import Application

__all__ = ["DRAIN_SECONDS", "is_loopback", "run"]

DRAIN_SECONDS = 5.0
"""What a load balancer commonly takes to notice: Kubernetes' documentation sleeps about as long before SIGTERM."""
_GRACE_SECONDS = 10
"""For requests that are being answered when the server is told to end; then they are cut off."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MEMORY = "/dev/shm"  # noqa: S108  (a folder that nobody else can guess is made in it)


def run(
    root: str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    require: Sequence[str] = (),
    drain_seconds: float = DRAIN_SECONDS,
    access_log: bool = True,
) -> None:
    """Serve the caches of a folder until SIGINT or SIGTERM.

    After SIGTERM `/readyz` says 503 while all else is answered as before, so that whoever distributes
    requests has time to send them elsewhere; a second signal, or SIGINT, cuts that short. Then no
    connection is taken any more, and requests under way are answered, for at most 10 seconds.

    Args:
        root: The folder of caches; default `$LAKEFLOW_HOME/caches`, else `./caches`.
        host: The address to listen on. There is no authentication: any other than loopback opens all
            caches of the folder to the network.
        port: The port to listen on.
        workers: How many processes answer; look-ups of one don't wait for those of another.
        require: Names of caches without which `/readyz` says 503.
        drain_seconds: How long requests are still welcome after SIGTERM.
        access_log: Whether to print a line of JSON for each request on standard output.

    Raises:
        ConfigError: granian isn't installed, or the root isn't a local folder.
        InputError: a name can't name a cache.
        StoreError: the address can't be listened on.
    """
    try:
        from granian.constants import Interfaces
        from granian.log import LogLevels
        from granian.server import Server
    except ImportError as error:
        raise ConfigError.missing_extra("granian", "serve", "The HTTP server") from error
    folder = str(CacheFolder.at(root, "any").root)
    required = tuple(CacheFolder.at(root, name).name for name in require)
    address = _free(host, port)
    server = Server(
        "lakeflow.serve",
        address=address,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        websockets=False,
        log_level=LogLevels.warning,
        workers_kill_timeout=_GRACE_SECONDS,
    )
    with tempfile.TemporaryDirectory(prefix="lakeflow-serve-", dir=_memory()) as shared:
        server.on_startup(partial(_drain_on_sigterm, server, Path(shared), drain_seconds))
        server.serve(target_loader=partial(_load, folder, required, shared, access_log), wrap_loader=False)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _drain_on_sigterm(server: AbstractServer[Any], shared: Path, seconds: float) -> None:
    """Have SIGTERM say in `shared` that the server is about to end, and end it after a while.

    For granian's own start, behind its handlers of signals and before the workers.
    """

    def drain(*_: object) -> None:
        signal.signal(signal.SIGTERM, server.signal_handler_interrupt)
        (shared / DRAINING).touch()
        timer = threading.Timer(seconds, server.signal_handler_interrupt)
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, drain)


def _load(folder: str, required: Sequence[str], shared: str, access_log: bool) -> Application:  # noqa: FBT001  (of a partial)
    """Return the application in the worker's process, which ends with its parent even if that is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until granian sets its own: draining is the parent's
    if access_log:
        print_lines()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return lingering(app(folder, require=required, shared=shared))


def _memory() -> str | None:
    """Return a folder in memory, which no one tidies while the server runs, or None where there is none."""
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None


def _free(host: str, port: int) -> str:
    """Return the numeric address of a host whose port nobody listens on.

    granian shares a port with whoever else of the same user has it (SO_REUSEPORT), and each would get
    some of the other's requests; a plain bind is refused then.

    Raises:
        StoreError: it is taken, not ours, or no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        message = f"Can't listen on {host}:{port}: {error.strerror or error}"
        raise StoreError(message, "choose another --port, or a --host of this machine.") from error
    return str(address[0])
