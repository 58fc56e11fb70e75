"""Dask: worker processes of this machine, or the workers of a running cluster.

Dask's own retries are at once and blind, so they are off; keys are ours, so that a run's tasks can
be found on the dashboard; `pure=False`, since a task writes files.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.seam import Completion
from lakeflow_io.errors import ConfigError, RunError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaskExecutor"]

_CONNECT_SECONDS = 10


class DaskExecutor:
    """Runs calls as Dask tasks.

    Args:
        target: `None` for a `LocalCluster` of one-thread processes on loopback, the address of a
            scheduler, or a `distributed.Client`.
        slots: Worker processes of the local cluster.

    Raises:
        ConfigError: distributed isn't installed, or processes can't be started from here.
        RunError: the scheduler can't be reached.
    """

    name = "dask"

    def __init__(self, target: Any, slots: int) -> None:
        try:
            import distributed
        except ImportError:
            raise ConfigError.missing_extra("Dask", "dask", "The Dask engine") from None
        self._ended: SimpleQueue[Completion] = SimpleQueue()
        self._futures: dict[str, Any] = {}
        self._cluster: Any = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._own_client = not isinstance(target, distributed.Client)
        if target is None:
            self._start_local(slots)
            target = self._cluster
        try:
            self._client = (
                distributed.Client(  # type: ignore[no-untyped-call]
                    target, timeout=_CONNECT_SECONDS, set_as_default=False
                )
                if self._own_client
                else target
            )
        except (OSError, ValueError, TimeoutError) as error:
            self.close()
            raise RunError(
                f"No Dask scheduler answers at {target}: {error}",
                "check the address, and that `dask scheduler` runs there.",
            ) from error
        threads = self._client.nthreads()
        self.slots = sum(threads.values()) or slots

    def _start_local(self, slots: int) -> None:
        import distributed

        if multiprocessing.current_process().name != "MainProcess" or getattr(
            multiprocessing.current_process(), "_inheriting", False
        ):
            raise ConfigError(
                "A worker process tried to start workers of its own: it has run the main script again.",
                'put the script\'s code under `if __name__ == "__main__":`.',
            )
        self._folder = tempfile.TemporaryDirectory(prefix="lakeflow-dask-")
        self._cluster = distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=slots,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=self._folder.name,
            silence_logs=logging.CRITICAL,
        )

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Send a call to the cluster."""
        future = self._client.submit(call, argument, key=key, pure=False, retries=0)
        self._futures[key] = future
        future.add_done_callback(lambda done: self._ended.put(_completion(key, done)))

    def next(self) -> Completion:
        """Wait for any call to end."""
        completion = self._ended.get()
        self._futures.pop(completion.key, None)  # lets the scheduler forget the task
        return completion

    def close(self) -> None:
        """Cancel what is left, and stop the workers this executor started."""
        client = getattr(self, "_client", None)
        if client is not None:
            if self._futures:
                client.cancel(list(self._futures.values()), force=True)
                self._futures.clear()
            if self._own_client:
                client.close()
        if self._cluster is not None:
            self._cluster.close()
        if self._folder is not None:
            self._folder.cleanup()


def _completion(key: str, done: Any) -> Completion:
    if done.status == "finished":
        return Completion(key, value=done.result())
    if done.status == "cancelled":
        return Completion(key, error=WorkerLostError(f"Task {key} was cancelled by the Dask scheduler."))
    error = done.exception()
    if type(error).__name__ in ("KilledWorker", "CancelledError", "CommClosedError"):
        error = WorkerLostError(
            f"The Dask worker that ran {key} died: {error}",
            "if it ran out of memory, use smaller shards or fewer workers.",
        )
    return Completion(key, error=error)
