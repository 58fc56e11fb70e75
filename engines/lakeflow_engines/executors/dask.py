"""Dask: worker processes of this machine, or the workers of a running cluster.

Dask's own retries are at once and blind, so they are off; keys are ours, so that a run's tasks can
be found on the dashboard; `pure=False`, since a task writes files.

A message costs Dask more than a short task does. So calls that are submitted, and those that are let go of,
wait for the next `next`, which sends them together; and results come together (`DaskResults`).
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow_engines.executors.carried import carry, run_carried
from lakeflow_engines.executors.connect import connect
from lakeflow_engines.executors.dask_outcome import GONE
from lakeflow_engines.executors.dask_results import DaskResults
from lakeflow_engines.executors.dask_workers import DaskWorkers
from lakeflow_engines.executors.local_cluster import local_cluster
from lakeflow_engines.executors.seam import Completion
from lakeflow_io.errors import FunctionError, RunError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BytesIO

__all__ = ["DaskExecutor"]

# How often a wait looks whether there is still anyone to wait for.
_ALIVE_SECONDS = 2.0
# Dask warns of a graph of 10 MB.
_MESSAGE_BYTES = 4 * 2**20


class DaskExecutor:
    """Runs calls as Dask tasks.

    Args:
        target: `None` for a `LocalCluster` of one-thread processes on loopback, the address of a
            scheduler, or a `distributed.Client`.
        slots: Worker processes of the local cluster; of another one, what to begin with while it has no workers.

    Raises:
        ConfigError: distributed isn't installed, processes can't be started from here, or the certificates for a
            `tls://` address are missing or wrong.
        RunError: the scheduler can't be reached.
    """

    name = "dask"

    def __init__(self, target: Any, slots: int) -> None:
        self._ended: SimpleQueue[list[Completion]] = SimpleQueue()
        self._arrived: deque[Completion] = deque()
        self._unsent: dict[str, BytesIO] = {}
        self._futures: dict[str, Any] = {}
        self._let_go: list[Any] = []
        self._nonce = uuid4().hex[:6]
        self._opened = ExitStack()
        if target is None:
            self._client = self._opened.enter_context(local_cluster(slots))
        elif isinstance(target, str):
            self._client = self._opened.enter_context(connect(target))
        else:
            self._client = target
        self._workers = DaskWorkers(self._client, slots)
        self._results = DaskResults(self._client, self._ended.put)

    @property
    def slots(self) -> int:
        """Threads of the workers that take tasks, when they were last looked at."""
        return self._workers.slots

    @property
    def memory(self) -> int | None:
        """What the workers may use together, by their own limits."""
        return self._workers.memory

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Take a call over; `next` sends it.

        Raises:
            FunctionError: it can't be pickled.
        """
        try:
            self._unsent[key] = carry(call, argument)
        except Exception as error:
            raise FunctionError(
                f"{key} can't be sent to workers: {error}", "pass values that pickle, or open them in the function."
            ) from error

    def _send(self) -> None:
        """Send what waits for it, in the order in which it came."""
        if self._let_go:
            self._client.cancel(self._let_go, force=True)
            self._let_go = []
        while self._unsent:
            message: dict[str, BytesIO] = {}
            size = 0
            for key, call in self._unsent.items():
                size += call.getbuffer().nbytes
                if message and size > _MESSAGE_BYTES:
                    break
                message[key] = call
            futures = self._client.map(
                run_carried, list(message.values()), key=[self._own(key) for key in message], pure=False, retries=0,
                fifo_timeout="0 s",  # later messages run later, however soon they come
            )  # fmt: skip
            sent = list(zip(message, futures, strict=True))
            self._futures.update(sent)
            self._results.expect(sent)
            for key in message:
                del self._unsent[key]

    def next(self, timeout: float | None = None) -> Completion | None:
        """Wait for any call to end."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._look():
                return None
            if not self._arrived:
                left = _ALIVE_SECONDS if until is None else max(0.0, min(_ALIVE_SECONDS, until - time.monotonic()))
                try:
                    self._arrived.extend(self._ended.get(timeout=left))
                except Empty:
                    if self._client.status != "running":
                        raise self._gone() from None
                    if until is not None and time.monotonic() >= until:
                        return None
                    continue
            completion = self._arrived.popleft()
            if completion.key not in self._futures:
                continue  # was cancelled
            del self._futures[completion.key]  # lets the scheduler forget the task
            if completion.error is GONE:
                raise self._gone()
            return completion

    def _look(self) -> bool:
        """Send what waits, look after the workers now and then; tells whether there are more or fewer slots."""
        try:
            self._send()
            changed = self._workers.look()
            stuck = self._workers.stuck()
        except Exception as error:
            if self._client.status != "running":
                raise self._gone() from error
            raise
        if stuck:
            self._give_up(stuck)
        return changed

    def _give_up(self, stuck: set[str]) -> None:
        for key in [key for key in self._futures if self._own(key) in stuck]:
            self.cancel(key)
            self._futures[key] = None
            error = WorkerLostError(
                f"The Dask worker that was to run {key} is paused: it is near its memory limit.",
                "restart it, and give workers more memory or smaller shards.",
            )
            self._arrived.append(Completion(key, error=error))

    def cancel(self, key: str) -> None:
        """Let the scheduler forget a call, with the next `next`."""
        self._unsent.pop(key, None)
        future = self._futures.pop(key, None)
        if future is not None:
            self._let_go.append(future)

    def kill(self, key: str) -> bool:
        """Restart the worker that runs a call; it needs a nanny, which `dask worker` has unless told otherwise."""
        address = self._workers.running(self._own(key))
        if address is not None and not self._workers.restartable(address):
            return False
        self.cancel(key)
        if self._client.status == "running":
            self._send()  # first, or Dask would run it again elsewhere
        if address is not None:
            self._workers.restart(address)
        return True

    def close(self) -> None:
        """Cancel what is left, and stop the workers this executor started."""
        with self._opened:
            left = [*self._let_go, *(future for future in self._futures.values() if future is not None)]
            if left and self._client.status == "running":
                self._client.cancel(left, force=True)
            self._unsent.clear()
            self._futures.clear()
            self._let_go.clear()

    def _own(self, key: str) -> str:
        """Twin drivers may share a cluster, where equal keys would be one task."""
        return f"{key}-{self._nonce}"

    def _gone(self) -> RunError:
        return RunError(
            f"The Dask scheduler is gone: its client is {self._client.status}.",
            "start the cluster again and run with the same run id: finished shards stay done.",
        )
