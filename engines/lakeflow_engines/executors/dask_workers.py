"""The workers of a Dask cluster: how many there are, what they may use, which of them is stuck."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any

from lakeflow_io.errors import RunError

__all__ = ["DaskWorkers"]

_log = logging.getLogger("lakeflow.executors")

# The scheduler describes a worker in some kilobytes: a thousand of them are looked at every ten seconds.
_LOOK_SECONDS, _LOOK_SECONDS_A_WORKER = 2.0, 0.01
# A worker that is paused longer than its own collection of garbage takes is not coming back.
_PAUSED_SECONDS = 10.0
# The scheduler hears of a process's end from its connection, within milliseconds.
_GONE_SECONDS = 2.0


class DaskWorkers:
    """What is known of the workers, kept up to date by `look`.

    Args:
        client: Of the cluster.
        slots: What to begin with where there are no workers yet; a cluster may start some when it sees tasks.
    """

    def __init__(self, client: Any, slots: int) -> None:
        self._client = client
        self._first_slots = slots
        self.slots = slots
        """Threads of the workers that take tasks."""
        self.memory: int | None = None
        """Bytes that they may use together; None where one has no limit."""
        self._known: dict[str, Any] = {}
        self._seen_any = False
        self._looked = 0.0
        self._paused_since: dict[str, float] = {}
        self._asked = 0.0
        self._read()

    def look(self) -> bool:
        """Ask the scheduler, unless that was a moment ago.

        Returns:
            Whether the slots have changed.

        Raises:
            RunError: every worker is paused, and has been for a while.
        """
        if time.monotonic() - self._looked < _LOOK_SECONDS + _LOOK_SECONDS_A_WORKER * len(self._known):
            return False
        before = self.slots
        self._read()
        return self.slots != before

    def stuck(self) -> set[str]:
        """Keys of tasks that wait on a worker which has been paused for a while, and so are never begun.

        Raises:
            RunError: there is no other worker, and none of them runs anything.
        """
        now = time.monotonic()
        paused = [address for address, since in self._paused_since.items() if since < now - _PAUSED_SECONDS]
        if not paused or now - self._asked < _PAUSED_SECONDS:
            return set()
        self._asked = now
        told = self._client.run(_tasks, workers=paused, on_error="ignore")
        if len(paused) == len(self._known) and not any(executing for _, executing in told.values()):
            raise RunError(
                f"All {len(paused)} Dask workers are paused: each is near its memory limit, and runs nothing.",
                "restart the workers with more memory, or set distributed.worker.memory.pause to False so that their "
                "nannies restart them; then run with the same run id.",
            )
        _log.warning("Dask workers that are near their memory limit take no more tasks: %s", ", ".join(paused))
        return {key for waiting, _ in told.values() for key in waiting}

    def running(self, key: str) -> str | None:
        """The address of the worker that a task was given to."""
        for address, keys in self._client.processing().items():
            if key in keys:
                return str(address)
        return None

    def restartable(self, address: str) -> bool:
        """Whether somebody would start the worker again."""
        self._read()
        return bool(self._known.get(address, {}).get("nanny"))

    def restart(self, address: str) -> None:
        """End a worker's process, at once and whatever it does; its nanny starts another one.

        `Client.restart_workers` asks it first, for four seconds, in which it still is given tasks.
        """
        self._client.run(_end_process, workers=[address], nanny=True, on_error="ignore")
        until = time.monotonic() + _GONE_SECONDS
        while address in self._known and time.monotonic() < until:  # what is submitted now would go down with it
            time.sleep(_GONE_SECONDS / 100)
            self._read()

    def _read(self) -> None:
        self._looked = time.monotonic()
        self._known = dict(self._client.scheduler_info(n_workers=-1)["workers"])
        self._seen_any = self._seen_any or bool(self._known)
        threads = sum(worker["nthreads"] for worker in self._known.values() if worker["status"] == "running")
        self.slots = threads if threads or self._seen_any else self._first_slots
        limits = [worker["memory_limit"] for worker in self._known.values()]
        self.memory = sum(limits) if limits and all(limits) else None
        paused = {address for address, worker in self._known.items() if worker["status"] == "paused"}
        self._paused_since = {address: self._paused_since.get(address, self._looked) for address in paused}


async def _end_process(dask_worker: Any) -> None:
    """Called on a worker's nanny."""
    process = dask_worker.process
    if process is not None:
        await process.running.wait()  # a worker takes tasks before its nanny knows that it is there
        if process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)


def _tasks(dask_worker: Any) -> tuple[list[str], int]:
    """What waits on a worker, and how many tasks it runs; called on the worker itself."""
    state = dask_worker.state
    return [task.key for task in state.ready], len(state.executing)
