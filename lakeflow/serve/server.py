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

from lakeflow.cache.shelves import absolute_root, check_name
from lakeflow.serve.access import print_lines
from lakeflow.serve.asgi import app
from lakeflow.serve.bearer import TOKEN_VARIABLE, Bearer
from lakeflow.serve.lingering import lingering
from lakeflow.serve.probes import DRAINING
from lakeflow_io.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from granian.server.common import AbstractServer

    from lakeflow.serve.asgi import Application

__all__ = ["DRAIN_SECONDS", "is_loopback", "run"]

DRAIN_SECONDS = 5.0
"""What a load balancer commonly takes to notice: Kubernetes' documentation sleeps about as long before SIGTERM."""
_GRACE_SECONDS = 10
"""For requests that are being answered when the server is told to end; then they are cut off."""
_HEAD_BYTES = 65_536
"""Of a request's head, which granian gives 30 seconds to come: what the application takes, and room for the rest."""
_ERRORS = {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"}
"""Where granian's own lines go: standard output has one of JSON for each request, and nothing else."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MEMORY = "/dev/shm"  # noqa: S108  (a folder that nobody else can guess is made in it)


def run(
    root: str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    require: Sequence[str] = (),
    token: str | None = None,
    unprotected: bool = False,
    drain_seconds: float = DRAIN_SECONDS,
    access_log: bool = True,
    storage: Mapping[str, str] | None = None,
) -> None:
    """Serve the caches of a folder or of a store until SIGINT or SIGTERM.

    After SIGTERM `/readyz` says 503 while all else is answered as before, so that whoever distributes
    requests has time to send them elsewhere; a second signal, or SIGINT, cuts that short. Then no
    connection is taken any more, and requests under way are answered, for at most 10 seconds.

    Args:
        root: The folder of caches, or a URI as `Cache` takes it; default `$LAKEFLOW_HOME/caches`, else `./caches`.
        host: The address to listen on. Any other than loopback opens the caches there to the network.
        port: The port to listen on.
        workers: How many processes answer; look-ups of one don't wait for those of another.
        require: Names of caches without which `/readyz` says 503.
        token: What requests must carry as `authorization: Bearer TOKEN`, but for `/`, `/openapi.json`,
            `/healthz` and `/readyz`.
        unprotected: Whether another address than loopback will do without a token.
        drain_seconds: How long requests are still welcome after SIGTERM.
        access_log: Whether to print a line of JSON for each request on standard output.
        storage: Storage properties, as `Cache` takes them.

    Raises:
        ConfigError: granian isn't installed, caches can't lie at the root, the token is too short, or there is
            none where the network can reach the server.
        InputError: a name can't name a cache.
        StoreError: the address can't be listened on.
    """
    try:
        from granian.constants import Interfaces
        from granian.http import HTTP1Settings, HTTP2Settings
        from granian.log import LogLevels
        from granian.server import Server
    except ImportError as error:
        raise ConfigError.missing_extra("granian", "serve", "The HTTP server") from error
    folder = absolute_root(root)
    required = tuple(check_name(name) for name in require)
    address = _free(host, port)
    _protected(address, token, unprotected=unprotected)
    server = Server(
        "lakeflow.serve",
        address=address,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        websockets=False,
        http1_settings=HTTP1Settings(max_buffer_size=_HEAD_BYTES),
        http2_settings=HTTP2Settings(max_headers_size=_HEAD_BYTES),
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": dict.fromkeys(("console", "access"), _ERRORS)},
        workers_kill_timeout=_GRACE_SECONDS,
    )
    with tempfile.TemporaryDirectory(prefix="lakeflow-serve-", dir=_memory()) as shared:
        options = {"require": required, "token": token, "shared": shared, "storage": storage}
        target = partial(_load, folder, options, access_log=access_log)
        server.on_startup(partial(_drain_on_sigterm, server, Path(shared), drain_seconds))
        server.serve(target_loader=target, wrap_loader=False)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _protected(address: str, token: str | None, *, unprotected: bool) -> None:
    """Refuse to open caches to a network by oversight.

    Raises:
        ConfigError: nothing protects them, or the token can be guessed.
    """
    if token is not None:
        Bearer(token)
    elif not is_loopback(address) and not unprotected:
        message = f"Anyone who reaches {address} could read every cache: the server has no token."
        hint = f"set ${TOKEN_VARIABLE} or give --token-file; --unprotected serves them to everyone."
        raise ConfigError(message, hint)


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


def _load(folder: str, options: dict[str, Any], *, access_log: bool) -> Application:
    """Return the application in the worker's process, which ends with its parent even if that is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until granian sets its own: draining is the parent's
    if access_log:
        print_lines()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return lingering(app(folder, **options))


def _memory() -> str | None:
    """Return a folder in memory, which no one tidies while the server runs, or None for the usual one."""
    return _MEMORY if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) else None


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
