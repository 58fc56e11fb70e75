"""`foreach`: one function over the shards of a scan, one publication at the end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow.runs.call import Call
from lakeflow.runs.protocol import Workers, execute, run_once
from lakeflow.runs.run import Run
from lakeflow.runs.table_sink import TableSink
from lakeflow.scan import Scan
from lakeflow.table import Table
from lakeflow_engines.executors import check_engine
from lakeflow_engines.shared import put_shared
from lakeflow_io.errors import InputError
from lakeflow_io.iceberg.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lakeflow.runs.sink import Sink

__all__ = ["foreach"]


def foreach(
    shards: Sequence[Shard] | Scan | Table,
    function: Callable[..., Any],
    *,
    into: Table | Sink | None = None,
    run_id: str | None = None,
    engine: Any = "threads",
    slots: int | None = None,
    retries: int = 3,
    params: Mapping[str, Any] | None = None,
    shared: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Run:
    """Run a function over shards and publish what it returns in one atomic commit.

    Args:
        shards: From `Scan.shards`; a scan or a table stands for its default shards.
        function: Called once a shard with its rows. The annotation of its first parameter picks the
            frame: `pa.Table` (also without one), `pa.RecordBatchReader`, `pl.DataFrame`,
            `pl.LazyFrame`, `pd.DataFrame` or `duckdb.DuckDBPyRelation`. It returns any of these.
        into: The table that gets the rows. Without one, values come back in `Run.results`.
        run_id: Names the run. The same id again goes on where it stopped, and is a no-op once it
            has committed. Default a new one.
        engine: `"serial"`, `"threads"`, `"dask"` (processes of this machine), the address of a Dask
            scheduler, a `distributed.Client`, or an `Executor`, which is closed when the run ends.
        slots: Shards at one time on this machine; default one a core.
        retries: More attempts for a shard when the store fails or its worker dies.
        params: Keyword arguments for the function; JSON.
        shared: Read-only tables for all tasks, by parameter name: loaded once a process and mapped.
        progress: Show a bar on a terminal.

    Raises:
        FunctionError: the function raised, returned nothing, or can't be sent to workers.
        SchemaError: what it returned doesn't fit the table.
        PlanChangedError: the run id was used before with another plan or other code.
        RunError: workers died, or the cluster can't be reached.
        CommitConflictError, StoreError: nothing of the run is visible; run it again.

    Example:
        >>> run = foreach(pairs.scan().shards(n=8), match, into=matches)  # doctest: +SKIP
    """
    started = time.perf_counter()
    check_engine(engine, slots)
    if not isinstance(retries, int) or retries < 0:
        raise InputError(f"retries={retries!r} is no number of retries.", "give 0 or more.")
    cut = _renumbered(shards)
    call = Call(function, f"run-{uuid4().hex[:12]}" if run_id is None else run_id, params, shared)
    workers = Workers(engine, slots, retries, progress)
    if into is None:
        results = _collect(cut, call, workers)
        return Run(call.run_id, None, len(cut), len(cut), time.perf_counter() - started, results)
    sink = TableSink(into) if isinstance(into, Table) else into
    if not hasattr(sink, "publish"):
        raise InputError(f"into= is a {type(into).__name__}.", "give a table, as lake.table(name).")
    publication, ran = run_once(cut, call, sink, workers)
    return Run(call.run_id, publication, len(cut), ran, time.perf_counter() - started)


def _renumbered(shards: Sequence[Shard] | Scan | Table) -> list[Shard]:
    """The shards, numbered as they come: those of several scans may be run together."""
    if isinstance(shards, Table):
        shards = shards.scan()
    if isinstance(shards, Scan):
        return shards.shards()
    if not isinstance(shards, Iterable) or isinstance(shards, str):
        raise InputError(f"foreach was given a {type(shards).__name__}.", "pass scan.shards(...), a scan or a table.")
    cut = list(shards)
    if not all(isinstance(shard, Shard) for shard in cut):
        raise InputError("foreach was given items that are no shards.", "pass scan.shards(...), a scan or a table.")
    read = [(id(shard.spec), shard.pieces) for shard in cut]
    if len(set(read)) < len(read):
        raise InputError("foreach was given a shard twice.", "each shard is run once.")
    return [replace(shard, index=index) for index, shard in enumerate(cut)]


def _collect(shards: Sequence[Shard], call: Call, workers: Workers) -> list[Any]:
    """Values of a function that writes nothing, in the order of the shards."""
    values: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lakeflow-shared-") as folder:
        encoded = call.encode_shared(f"file://{folder}", {})
        for table, payload in encoded:
            put_shared(table, payload)
        job = call.job(tuple(table for table, _ in encoded), None, "")
        execute(shards, job, workers, lambda shard, value: values.update({shard.id: value}))
    return [values[shard.id] for shard in shards]
