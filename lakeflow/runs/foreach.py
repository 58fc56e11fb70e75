"""`foreach`: one function over the shards of a scan, or over items; one publication an output at the end."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from lakeflow.runs.attempts.call import Call
from lakeflow.runs.outputs.outputs import Outputs
from lakeflow.runs.policy import Policy
from lakeflow.runs.progress.tally import Tally
from lakeflow.runs.protocol import Ended, Workers, execute, run_once
from lakeflow.runs.recipe import works_of
from lakeflow.runs.run import Run
from lakeflow.runs.work import whole_id
from lakeflow_engines.executors import check_engine
from lakeflow_engines.shared import put_shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lakeflow.runs.failures import Failure
    from lakeflow.runs.outputs.sink import Sink
    from lakeflow.runs.work import Work
    from lakeflow.scan import Scan
    from lakeflow.table import Table

__all__ = ["foreach", "run_of"]


def foreach(
    shards: Iterable[Any] | Scan | Table,
    function: Callable[..., Any],
    *,
    into: Table | Sink | Mapping[str, Table | Sink] | None = None,
    mode: Literal["append", "overwrite", "overwrite-partitions"] = "append",
    where: str | None = None,
    run_id: str | None = None,
    engine: Any = "threads",
    slots: int | None = None,
    retries: int = 3,
    on_error: Literal["raise", "quarantine"] = "raise",
    max_failures: float | None = None,
    deadline: float | None = None,
    hard_deadline: float | None = None,
    speculate: bool = True,
    params: Mapping[str, Any] | None = None,
    shared: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Run:
    """Run a function over shards or items, and publish what it returns in one atomic commit.

    Args:
        shards: From `Scan.shards`; a scan or a table, which stands for its default shards; or a list of any
            other items, such as `[{"alpha": 0.1}, {"alpha": 0.2}]`, which travel to the workers as they are.
        function: Called once a shard with its rows, or once an item with it. The annotation of its first
            parameter picks the frame: `pa.Table` (also without one), `pa.RecordBatchReader`, `pl.DataFrame`,
            `pl.LazyFrame`, `pd.DataFrame` or `duckdb.DuckDBPyRelation`. It returns any of these, or yields several.
        into: The table that gets the rows; or several by name, `{"matches": t1, "rejects": t2}`: then the
            function returns a dict of frames by these names, and a name that it leaves out gets no rows. They are
            published one after the other in this order, each in one commit: between two of them a reader may see
            the first and not yet the second, and after a crash there the same call publishes the rest. Without
            `into`, values come back in `Run.results`.
        mode: What goes when the rows come: `"append"` nothing, `"overwrite"` all rows, `"overwrite-partitions"`
            all rows of the partitions in which new ones lie. What goes is what was there when the run was planned.
        where: With `mode="overwrite"`: only rows for which this filter is true go.
        run_id: Names the run. The same id again goes on where it stopped, and is a no-op once it
            has committed. Default a new one.
        engine: `"serial"`, `"threads"`, `"dask"` (processes of this machine), the address of a Dask
            scheduler, a `distributed.Client`, or an `Executor`, which is closed when the run ends.
        slots: Shards at one time on this machine; default one a core.
        retries: More attempts for a shard when the store fails.
        on_error: What becomes of a shard that fails for good: `"raise"` ends the run once what runs has ended;
            `"quarantine"` leaves its rows out, says so in the snapshot's summary (`lakeflow.partial`) and in
            `Run.quarantined`.
        max_failures: How many shards may be left out before the run ends all the same: a count, or as a float
            a part of all; default any number less than all.
        deadline: Seconds after which a task is asked to end, by an exception inside of it.
        hard_deadline: Seconds after which its worker is restarted; default twice `deadline` and 30 s more.
        speculate: Whether a straggler gets a second attempt beside its first. The store decides which counts.
        params: Keyword arguments for the function; JSON.
        shared: Read-only tables for all tasks, by parameter name: loaded once a process and mapped.
        progress: Show a bar on a terminal.

    Raises:
        InputError: an argument can't be.
        FunctionError: the function raised, returned nothing, or can't be sent to workers.
        SchemaError: what it returned doesn't fit the table.
        FilterError: `where` doesn't parse or doesn't fit the table.
        PlanChangedError: the run id was used before with another plan or other code; says what changed.
        RunAbandonedError: the run was given up by `Lake.collect_runs`.
        RunInterruptedError: Ctrl-C; what ran has ended, and the run can be resumed.
        RunError: workers died, too many shards failed, or the cluster can't be reached.
        CommitConflictError: others have changed what an overwrite would replace; nothing of that output is visible.
        StoreError: nothing of the run is visible, or of several outputs the first ones; run it again.

    Example:
        >>> run = foreach(pairs.scan().shards(n=8), match, into=matches)  # doctest: +SKIP
    """
    started = time.perf_counter()
    check_engine(engine, slots)
    policy = Policy(retries, on_error, max_failures, deadline, hard_deadline, speculate)
    works, recipe = works_of(shards)
    call = Call(function, f"run-{uuid4().hex[:12]}" if run_id is None else run_id, params, shared)
    outputs = Outputs.of(into, mode, where)
    workers = Workers(engine, slots, policy, progress)
    try:
        if outputs is None:
            return _collected(works, call, workers, started)
        return run_of(call.run_id, works, run_once(works, call, outputs, workers, recipe=recipe), started)
    finally:
        workers.close()


def run_of(run_id: str, works: Sequence[Work], ended: Ended, started: float) -> Run:
    """What a run that writes came to.

    Args:
        run_id: The run.
        works: All of it; empty where they aren't known any more.
        ended: Its end.
        started: When this call began, by `time.perf_counter`.
    """
    return Run(
        run_id,
        next(iter(ended.publications.values())),
        ended.shards,
        ended.ran,
        time.perf_counter() - started,
        publications=ended.publications,
        quarantined=ended.quarantined,
        quarantined_shards=_named(works, ended.quarantined),
        journal=ended.journal,
    )


def _collected(works: Sequence[Work], call: Call, workers: Workers, started: float) -> Run:
    """A run of a function that writes nothing: its values, in the order of the works."""
    values: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lakeflow-shared-") as folder:
        encoded = call.encode_shared(f"file://{folder}", {})
        for table, payload in encoded:
            put_shared(table, payload)
        job = call.job(tuple(table for table, _ in encoded), None, "", deadline=workers.policy.deadline)
        outcome = execute(works, job, workers, values.__setitem__, Tally(works))
    return Run(
        call.run_id,
        None,
        len(works),
        len(values),
        time.perf_counter() - started,
        [values.get(work.id) for work in works],
        quarantined=outcome.quarantined,
        quarantined_shards=_named(works, outcome.quarantined),
    )


def _named(works: Sequence[Work], failures: Mapping[str, Failure]) -> list[Work]:
    """The works that failures are of, or of parts of which."""
    ids = {whole_id(work_id) for work_id in failures}
    return [work for work in works if work.id in ids] if ids else []
