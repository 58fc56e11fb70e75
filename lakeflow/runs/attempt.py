"""One attempt at one shard, in whatever process a worker is: read, call, stage, mark.

An attempt that is killed at any line leaves at worst files that no marker names. An attempt that
was overtaken deletes its own.
"""

from __future__ import annotations

import inspect
import logging
import os
import platform
import resource
import time
import traceback
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cloudpickle

from lakeflow.runs.journal import Journal
from lakeflow.scan import read_shard
from lakeflow_engines.frames import from_arrow, to_arrow
from lakeflow_engines.shared import SharedTable, load_shared
from lakeflow_io.errors import FunctionError, LakeflowError, SchemaError, StoreError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from lakeflow.runs.sink import ShardWriter
    from lakeflow_io.iceberg.shards import Shard

_log = logging.getLogger("lakeflow.runs")

__all__ = ["Attempt", "Job", "run_attempt"]


@dataclass(frozen=True, slots=True)
class Job:
    """What all attempts of a run have in common; travels with each, so it is kept small."""

    run_id: str
    function: bytes = field(repr=False)
    """Pickled by cloudpickle."""
    function_name: str
    kinds: dict[str, str]
    """Which frame each parameter wants."""
    params: dict[str, Any] = field(repr=False)
    shared: tuple[SharedTable, ...]
    writer: ShardWriter | None
    """None: the function's value is sent back instead of being written."""
    folder: str
    """URI of the run's folder."""
    store: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one shard."""

    job: Job
    shard: Shard
    number: int
    """0 for the first."""

    @property
    def key(self) -> str:
        """Unique within the run: the name of its task and the beginning of its files' names."""
        return f"{self.job.run_id}-{self.shard.id}-a{self.number}"


def run_attempt(attempt: Attempt) -> Any:
    """Run one attempt.

    Returns:
        The marker that counts for this shard, or the function's value where nothing is written.

    Raises:
        FunctionError: the function raised or returned what can't be used; names the shard.
        DataError, StoreError: reading or writing failed.
    """
    job, shard = attempt.job, attempt.shard
    started = time.perf_counter()
    data = read_shard(shard)
    read = time.perf_counter()
    value = _call(job, shard, data)
    if job.writer is None:
        return value
    result = _to_table(job, shard, value)
    called = time.perf_counter()
    staged = _write(attempt, result)
    marker = {
        "format": 1,
        "shard": shard.id,
        "attempt": attempt.number,
        "files": staged,
        "rows_in": data.num_rows,
        "rows": result.num_rows,
        "bytes_in": shard.bytes,
        "seconds": {
            "read": round(read - started, 4),
            "function": round(called - read, 4),
            "write": round(time.perf_counter() - called, 4),
        },
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "host": platform.node(),
        "pid": os.getpid(),
    }
    counted = Journal(open_transport(job.store), job.folder).mark_done(marker)
    if counted["files"] != staged:
        _discard(job.writer, staged)
    return counted


def _discard(writer: ShardWriter, staged: list[dict[str, Any]]) -> None:
    try:
        writer.discard(staged)
    except StoreError as error:
        # The shard is done: what couldn't be deleted is waste, not a failure.
        _log.warning("files of an attempt that lost stay behind: %s (%s)", [file["path"] for file in staged], error)


def _write(attempt: Attempt, result: pa.Table) -> list[dict[str, Any]]:
    writer = attempt.job.writer
    assert writer is not None  # noqa: S101  (the caller has looked)
    try:
        return writer.write(attempt.key, result)
    except SchemaError as error:
        raise SchemaError(
            f"{attempt.shard.id}: what {attempt.job.function_name} returned can't be written. {error.message}",
            error.hint,
        ) from error


def _call(job: Job, shard: Shard, data: pa.Table) -> Any:
    function = _load(job.function)
    shared = {table.name: from_arrow(load_shared(table), job.kinds.get(table.name, "arrow")) for table in job.shared}
    rows = from_arrow(data, next(iter(job.kinds.values())))
    return _guarded(job, shard, lambda: function(rows, **shared, **job.params))


def _guarded(job: Job, shard: Shard, run: Callable[[], Any]) -> Any:
    """Run the caller's code; whatever it raises leaves as a FunctionError."""
    try:
        return run()
    except LakeflowError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever the caller's code raises)
        failure = _function_error(job, shard, error)
    # Raised out here, so that it carries no cause and no context: they may be of types that can't
    # travel to the driver. Its text has the traceback.
    raise failure


def _to_table(job: Job, shard: Shard, value: Any) -> pa.Table:
    # A generator runs the caller's code here, not when it was called.
    if inspect.isgenerator(value):
        value = _guarded(job, shard, lambda: list(value))
    return to_arrow(value, f"{shard.id}: what {job.function_name} returned")


def _function_error(job: Job, shard: Shard, error: BaseException) -> FunctionError:
    where = traceback.extract_tb(error.__traceback__)
    line = f" at {where[-1].filename}:{where[-1].lineno}" if where else ""
    failure = FunctionError(
        f"{shard.id}: {job.function_name} raised {type(error).__name__}: {error}{line}",
        "the shard can be read alone with lakeflow.scan.read_shard(shards[" + str(shard.index) + "]).",
    )
    failure.traceback_text = "".join(traceback.format_exception(error))
    return failure


@lru_cache(maxsize=8)
def _load(function: bytes) -> Callable[..., Any]:
    loaded: Callable[..., Any] = cloudpickle.loads(function)
    return loaded
