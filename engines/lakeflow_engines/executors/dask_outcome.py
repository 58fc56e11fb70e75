"""How a Dask task ended, in our words."""

from __future__ import annotations

import asyncio
from typing import Any

from lakeflow_engines.executors.carried import misfit
from lakeflow_engines.executors.seam import Completion
from lakeflow_io.errors import FunctionError, LakeflowError, OutOfMemoryError, RunError, WorkerLostError

__all__ = ["GONE", "outcome"]

GONE = RunError("The connection to the Dask scheduler was lost.")
"""The error of every task whose scheduler went away; compared by identity."""

_LOST = ("KilledWorker", "CancelledError", "FutureCancelledError", "CommClosedError")
# What a nanny tells the scheduler when it ends a worker for its memory, and how long that may be behind the news that
# the worker is gone: both are on their way at once.
_MEMORY_TOPIC = "worker-restart-memory"
_TOLD_TRIES, _TOLD_SECONDS = 3, 0.2


async def outcome(client: Any, key: str, future: Any) -> Completion:
    """Wait for a future and say how it ended.

    Args:
        client: Its client, on whose event loop this runs.
        key: Ours.
        future: Of the task.
    """
    try:
        return Completion(key, value=await future.result())
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (whatever a task raises is its outcome)
        if getattr(error, "reason", None) == "scheduler-connection-lost" or client.status != "running":
            return Completion(key, error=GONE)
        if type(error).__name__ in _LOST:
            return Completion(key, error=await _lost(client, key, error))
        if not isinstance(error, LakeflowError) and "pickle" in str(error):
            return Completion(key, error=_unsendable(key, error))
        return Completion(key, error=misfit(error) or error)


async def _lost(client: Any, key: str, error: BaseException) -> RunError:
    worker = getattr(getattr(error, "last_worker", None), "address", None)
    if worker is not None and await _ended_for_memory(client, worker):
        return OutOfMemoryError(
            f"The Dask worker that ran {key} was ended: it used more memory than its limit.",
            "use smaller shards, fewer workers, or workers with more memory.",
        )
    what = f"died: {error}" if worker is not None else f"let go of it: {error}"
    return WorkerLostError(
        f"The Dask worker that ran {key} {what}",
        "look into its log; if it ran out of memory, use smaller shards or fewer workers.",
    )


async def _ended_for_memory(client: Any, worker: str) -> bool:
    for _ in range(_TOLD_TRIES):
        events = await client.get_events(_MEMORY_TOPIC)
        if any(event.get("worker") == worker for _, event in events or ()):
            return True
        await asyncio.sleep(_TOLD_SECONDS)
    return False


def _unsendable(key: str, error: BaseException) -> FunctionError:
    return FunctionError(
        f"{key}: what it came to can't be sent back from the worker: {error}",
        "return small values that pickle, or write tables with into=.",
    )
