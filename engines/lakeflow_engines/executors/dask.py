"""Dask: worker processes of this machine, or the workers of a running cluster.

Dask's own retries are at once and blind, so they are off; keys are ours, so that a run's tasks can
be found on the dashboard; `pure=False`, since a task writes files.
"""

from __future__ import annotations

from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow_engines.executors.local_cluster import local_cluster
from lakeflow_engines.executors.seam import Completion
from lakeflow_io.errors import ConfigError, FunctionError, LakeflowError, RunError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaskExecutor"]

_CONNECT_SECONDS = 10
# How often a wait looks whether there is still anyone to wait for.
_ALIVE_SECONDS = 2


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
        self._ended: SimpleQueue[Completion] = SimpleQueue()
        self._futures: dict[str, Any] = {}
        self._nonce = uuid4().hex[:6]
        self._opened = ExitStack()
        if target is None:
            self._client = self._opened.enter_context(local_cluster(slots))
        elif isinstance(target, str):
            self._client = self._opened.enter_context(_connect(target))
        else:
            self._client = target
        self.slots = sum(self._client.nthreads().values()) or slots

    def submit(self, key: str, call: Callable[[Any], Any], argument: Any) -> None:
        """Send a call to the cluster."""
        # Twin drivers may share a cluster, where equal keys would be one task.
        own_key = f"{key}-{self._nonce}"
        try:
            future = self._client.submit(call, argument, key=own_key, pure=False, retries=0)
        except Exception as error:
            raise self._gone() from error
        self._futures[key] = future
        future.add_done_callback(lambda done: self._ended.put(_completion(key, done)))

    def next(self) -> Completion:
        """Wait for any call to end."""
        while True:
            try:
                completion = self._ended.get(timeout=_ALIVE_SECONDS)
                break
            except Empty:
                if self._client.status != "running":
                    raise self._gone() from None
        self._futures.pop(completion.key, None)  # lets the scheduler forget the task
        return completion

    def _gone(self) -> RunError:
        return RunError(
            "The Dask scheduler is gone: its client is " + str(self._client.status) + ".",
            "start the cluster again and run with the same run id: finished shards stay done.",
        )

    def close(self) -> None:
        """Cancel what is left, and stop the workers this executor started."""
        with self._opened:
            if self._futures and self._client.status == "running":
                self._client.cancel(list(self._futures.values()), force=True)
            self._futures.clear()


def _connect(address: str) -> Any:
    try:
        import distributed
    except ImportError:
        raise ConfigError.missing_extra("Dask", "dask", "The Dask engine") from None
    try:
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise RunError(
            f"No Dask scheduler answers at {address}: {error}",
            "check the address, and that `dask scheduler` runs there.",
        ) from error


def _completion(key: str, done: Any) -> Completion:
    try:
        return _outcome(key, done)
    except Exception as error:  # noqa: BLE001  (this runs in a callback, where nobody would hear of it)
        return Completion(key, error=_unsendable(key, error))


def _outcome(key: str, done: Any) -> Completion:
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
    elif not isinstance(error, LakeflowError) and "pickle" in str(error):
        error = _unsendable(key, error)
    return Completion(key, error=error)


def _unsendable(key: str, error: BaseException) -> FunctionError:
    return FunctionError(
        f"{key}: what it came to can't be sent back from the worker: {error}",
        "return small values that pickle, or write tables with into=.",
    )
