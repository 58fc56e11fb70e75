"""A Dask scheduler and workers as processes of their own, so that a driver's memory and CPU are its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run_dask"]

_START_SECONDS = 60


@contextmanager
def run_dask(workers: int) -> Iterator[str]:
    """Start a scheduler and workers of one thread each, on loopback; stop them at the end.

    Args:
        workers: How many processes.

    Yields:
        The scheduler's address.

    Raises:
        RuntimeError: it didn't start.
    """
    with tempfile.TemporaryDirectory(prefix="lakeflow-bench-dask-") as home, ExitStack() as started:
        folder = Path(home)
        file = folder / "scheduler.json"
        _start(
            started, folder, ["scheduler", "--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(file)]
        )
        address = _address(file)
        for _ in range(workers):
            _start(started, folder, ["worker", address, "--nthreads", "1", "--no-nanny"])
        yield address


def _start(started: ExitStack, folder: Path, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # there is nothing to keep
    process.wait()


def _address(file: Path) -> str:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if file.exists():
            try:
                return str(json.loads(file.read_text(encoding="utf-8"))["address"])
            except ValueError:  # half written
                pass
        time.sleep(0.05)
    raise RuntimeError(f"no Dask scheduler within {_START_SECONDS} s")
