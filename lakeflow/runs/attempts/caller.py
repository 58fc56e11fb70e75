"""The caller's code in a worker: loaded, called, and its errors told with shard, function and line."""

from __future__ import annotations

import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cloudpickle

from lakeflow.runs.attempts.deadline import Expired
from lakeflow.runs.failures import kind_of
from lakeflow_io.errors import FunctionError, LakeflowError, OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.runs.attempts.attempt import Attempt

__all__ = ["guard", "load_function"]


def load_function(function: bytes, work_id: str, name: str) -> Callable[..., Any]:
    """The function from what the driver pickled.

    Raises:
        FunctionError: it can't be loaded here.
    """
    try:
        return _load(function)
    except Exception as error:
        raise FunctionError(
            f"{work_id}: {name} can't be loaded on the worker: {type(error).__name__}: {error}",
            "install the modules that it needs on all workers, in the driver's versions.",
        ) from error


@lru_cache(maxsize=8)
def _load(function: bytes) -> Callable[..., Any]:
    loaded: Callable[..., Any] = cloudpickle.loads(function)
    return loaded


def guard(attempt: Attempt, run: Callable[[], Any]) -> Any:
    """Run the caller's code; whatever it raises leaves as one of our errors.

    Raises:
        FunctionError: it raised anything but one of ours; a Rust panic, too.
        OutOfMemoryError: it raised for want of memory.
    """
    try:
        return run()
    except (LakeflowError, KeyboardInterrupt, GeneratorExit, Expired):
        raise
    except BaseException as error:  # noqa: BLE001  (whatever the caller's code raises)
        failure = _told(attempt, error)
    # Raised out here, so that it carries no cause and no context: they may be of types that can't
    # travel to the driver. Its text has the traceback.
    raise failure


def _told(attempt: Attempt, error: BaseException) -> LakeflowError:
    work, name = attempt.work, attempt.job.function_name
    where = traceback.extract_tb(error.__traceback__)
    line = f" at {where[-1].filename}:{where[-1].lineno}" if where else ""
    what = f"{work.id}: {name} raised {type(error).__name__}: {error}{line}"
    failure: LakeflowError
    if kind_of(error) == "out-of-memory":
        failure = OutOfMemoryError(what, "use smaller shards, fewer slots, or workers with more memory.")
    else:
        failure = FunctionError(what, _reproduce(attempt))
    failure.__dict__["traceback_text"] = "".join(traceback.format_exception(error))
    return failure


def _reproduce(attempt: Attempt) -> str:
    if not attempt.job.writers:
        return f"run it alone: lakeflow.foreach([shards[{attempt.work.index}]], function, engine='serial')."
    job = attempt.job
    return f"`lakeflow reproduce {job.run_id} {attempt.work.id}{job.shell_options}` runs it alone, here."
