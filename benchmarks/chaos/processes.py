"""Schedulers, workers and drivers: processes of their own, forked from one that has imported everything.

They are the same classes that `dask scheduler` and `dask worker` run, without the two seconds that
Python takes to import them: a thousand kills need several thousand processes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

__all__ = ["Cluster", "Processes"]

_READY_SECONDS = 120  # only a hang takes that long


class Processes:
    """Starts processes, and ends all of them.

    Args:
        preloaded: The module that imports what they need.
    """

    def __init__(self, preloaded: str) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preloaded])
        self._started: list[BaseProcess] = []

    def start(self, target: Callable[..., None], *arguments: Any) -> BaseProcess:
        """A process that calls `target`."""
        self._started = [process for process in self._started if process.is_alive()]
        process = self._context.Process(target=target, args=arguments, daemon=True)
        process.start()
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill what is left."""
        for process in self._started:
            kill(process)


def kill(process: BaseProcess) -> bool:
    """`kill -9`; False where it had ended before."""
    alive = process.is_alive()
    if alive and process.pid is not None:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended in this moment
            alive = False
    process.join()
    return alive


def ended(processes: list[BaseProcess], seconds: float) -> bool:
    """Wait until all have ended; False where they haven't in time."""
    limit = time.monotonic() + seconds
    while left := [process for process in processes if process.is_alive()]:
        rest = limit - time.monotonic()
        if rest <= 0:
            return False
        wait([process.sentinel for process in left], rest)
    return True


class Cluster:
    """A Dask scheduler and its workers, each a process that can be killed and started again."""

    def __init__(self, processes: Processes, workers: int) -> None:
        self._processes, self._count = processes, workers
        self._held = socket.socket()  # bound for as long as this lives: nobody is given the port between two schedulers
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self._port = self._held.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.scheduler: BaseProcess | None = None
        self.workers: list[BaseProcess] = []

    def close(self) -> None:
        """Give the port back."""
        self._held.close()

    def mend(self) -> None:
        """Start what isn't there."""
        if self.scheduler is None or not self.scheduler.is_alive():
            for worker in self.workers:
                kill(worker)  # they would end by themselves, some time
            self.workers = []
            self.scheduler = self._processes.start(run_scheduler, self._port)
            self._wait_for_port()
        self.workers = [worker for worker in self.workers if worker.is_alive()]
        while len(self.workers) < self._count:
            self.workers.append(self._processes.start(run_worker, self.address))

    def _wait_for_port(self) -> None:
        limit = time.monotonic() + _READY_SECONDS
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError("the Dask scheduler doesn't come up")


def run_scheduler(port: int) -> None:
    """A scheduler that gives a task up when its worker dies: what then happens is the run's to decide."""
    import dask
    from distributed import Scheduler

    async def serve() -> None:
        async with Scheduler(host="127.0.0.1", port=port, dashboard=False) as scheduler:  # type: ignore[no-untyped-call]
            await scheduler.finished()

    _silent()
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        asyncio.run(serve())


def run_worker(address: str) -> None:
    """A worker of one thread."""
    from distributed import Worker

    async def serve() -> None:
        async with Worker(address, nthreads=1, host="127.0.0.1", dashboard=False) as worker:  # type: ignore[no-untyped-call]
            await worker.finished()

    _silent()
    asyncio.run(serve())


def _silent() -> None:
    import logging

    logging.disable(logging.CRITICAL)
