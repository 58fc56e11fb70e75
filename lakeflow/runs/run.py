"""`foreach`: one function over the shards of a scan, one publication at the end."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow.progress import progress_bar
from lakeflow.runs.attempt import Attempt, Job
from lakeflow.runs.journal import Journal, check_run_id
from lakeflow.runs.plan import (
    RunPlan,
    check_params,
    check_same,
    code_hash,
    function_name,
    pickle_function,
    shards_digest,
)
from lakeflow.runs.schedule import run_all
from lakeflow.runs.sink import Publication, RunLabel, Sink
from lakeflow.runs.table_sink import TableSink
from lakeflow.scan import Scan
from lakeflow.table import Table
from lakeflow_engines.executors import open_executor
from lakeflow_engines.frames import parameter_kinds, to_arrow
from lakeflow_engines.shared import share
from lakeflow_io.errors import FunctionError, InputError, PlanChangedError
from lakeflow_io.iceberg.shards import Shard
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from lakeflow_engines.shared import SharedTable

__all__ = ["Run", "foreach"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to."""

    run_id: str
    publication: Publication | None
    """The snapshot or cache version it published; None without `into`."""
    shards: int
    ran: int
    """Shards that this call ran itself; the others had been done before."""
    seconds: float
    results: list[Any] = field(default_factory=list)
    """The function's values in the order of the shards, where nothing was written."""

    @property
    def snapshot_id(self) -> int:
        """The snapshot that holds the run's rows.

        Raises:
            InputError: the run wrote into no table.
        """
        if self.publication is None or not self.publication.id.isdigit():
            raise InputError(f"Run {self.run_id} wrote into no table.", "give foreach a table as into=.")
        return int(self.publication.id)

    @property
    def version_id(self) -> str:
        """The cache version that holds the run's rows.

        Raises:
            InputError: the run wrote into no cache.
        """
        if self.publication is None or self.publication.id.isdigit():
            raise InputError(f"Run {self.run_id} wrote into no cache.", "use precompute.")
        return self.publication.id

    @property
    def rows(self) -> int:
        """Rows written."""
        return self.publication.rows if self.publication else 0


def foreach(
    shards: Sequence[Shard] | Scan,
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
        shards: From `Scan.shards`; a scan stands for its default shards.
        function: Called once a shard with its rows. The annotation of its first parameter picks the
            frame: `pa.Table` (also without one), `pa.RecordBatchReader`, `pl.DataFrame`,
            `pl.LazyFrame`, `pd.DataFrame` or `duckdb.DuckDBPyRelation`. It returns any of these.
        into: The table that gets the rows. Without one, values come back in `Run.results`.
        run_id: Names the run. The same id again goes on where it stopped, and is a no-op once it
            has committed. Default a new one.
        engine: `"serial"`, `"threads"`, `"dask"` (processes of this machine), the address of a Dask
            scheduler, or a `distributed.Client`.
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
    cut = list(shards.shards() if isinstance(shards, Scan) else shards)
    if not all(isinstance(shard, Shard) for shard in cut):
        raise InputError("foreach was given items that are no shards.", "pass scan.shards(...) or a scan.")
    call = _Call(function, run_id or f"run-{uuid4().hex[:12]}", check_params(params), shared or {})
    if into is None:
        results = _collect(cut, call, engine, slots, retries, progress=progress)
        return Run(call.run_id, None, len(cut), len(cut), time.perf_counter() - started, results)
    sink = TableSink(into) if isinstance(into, Table) else into
    publication, ran = _write(cut, call, sink, engine, slots, retries, progress=progress)
    return Run(call.run_id, publication, len(cut), ran, time.perf_counter() - started)


class _Call:
    """A checked function with its arguments."""

    def __init__(
        self, function: Callable[..., Any], run_id: str, params: dict[str, Any], shared: Mapping[str, Any]
    ) -> None:
        self.kinds = parameter_kinds(function)
        self.function = function
        self.name = function_name(function)
        self.run_id = check_run_id(run_id)
        self.params = params
        self.tables = {name: _as_table(name, value) for name, value in shared.items()}
        for name in [*params, *self.tables]:
            if name not in list(self.kinds)[1:]:
                raise FunctionError(
                    f"{self.name} has no parameter {name!r}, which params= or shared= gives it.",
                    "its parameters after the first are " + (", ".join(list(self.kinds)[1:]) or "none") + ".",
                )

    def share(self, folder: str, store: Mapping[str, str]) -> tuple[SharedTable, ...]:
        """Put the shared tables where workers find them."""
        return tuple(share(name, table, folder, store) for name, table in self.tables.items())

    def job(self, shared: tuple[SharedTable, ...], sink: Sink | None, folder: str) -> Job:
        """What all attempts carry."""
        return Job(
            run_id=self.run_id,
            function=pickle_function(self.function),
            function_name=self.name,
            kinds=self.kinds,
            params=self.params,
            shared=shared,
            writer=sink.writer() if sink else None,
            folder=folder,
            store=sink.store_properties if sink else {},
        )


def _as_table(name: str, value: Any) -> pa.Table:
    if isinstance(value, Table):
        value = value.scan().read()
    return to_arrow(value, f"shared[{name!r}]")


def _collect(
    shards: Sequence[Shard], call: _Call, engine: Any, slots: int | None, retries: int, *, progress: bool
) -> list[Any]:
    """Values of a function that writes nothing."""
    import tempfile

    values: dict[int, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lakeflow-shared-") as folder:
        job = call.job(call.share(f"file://{folder}", {}), None, "")
        _execute(shards, job, engine, slots, retries, lambda at, value: values.update({at: value}), progress=progress)
    return [values[shard.index] for shard in shards]


def _write(
    shards: Sequence[Shard], call: _Call, sink: Sink, engine: Any, slots: int | None, retries: int, *, progress: bool
) -> tuple[Publication, int]:
    """The run protocol: plan, attempts, markers, one publication. Returns it and how many shards ran."""
    journal = Journal.of(open_transport(sink.store_properties), sink.location, call.run_id)
    shared = call.share(journal.shared_folder, sink.store_properties)
    plan = RunPlan(
        run_id=call.run_id,
        source=shards[0].spec.source if shards else None,
        shards=len(shards),
        shards_digest=shards_digest(shards),
        function=call.name,
        code=code_hash(call.function),
        params=call.params,
        shared={table.name: table.digest for table in shared},
        output=sink.describe(),
    )
    check_same(journal.adopt(plan), plan)
    before = sink.find(call.run_id)
    if before is not None:
        if before.plan_digest != plan.digest:
            raise PlanChangedError(
                f"Run {call.run_id!r} was published before with another plan.", "use another run id."
            )
        return before, 0
    markers = journal.done()
    todo = [shard for shard in shards if shard.id not in markers]
    if todo:
        job = call.job(shared, sink, journal.folder)
        _execute(
            todo, job, engine, slots, retries, lambda _at, marker: markers.update({marker["shard"]: marker}),
            progress=progress,
        )  # fmt: skip
    staged = [file for shard in shards for file in markers[shard.id]["files"]]
    publication = sink.publish(RunLabel(call.run_id, plan.digest, plan.source, len(shards)), staged)
    journal.mark_committed(
        {"format": 1, "publication": publication.id, "rows": publication.rows, "digest": plan.digest}
    )
    return publication, len(todo)


def _execute(
    shards: Sequence[Shard],
    job: Job,
    engine: Any,
    slots: int | None,
    retries: int,
    on_value: Callable[[int, Any], None],
    *,
    progress: bool,
) -> None:
    title = f"foreach {job.function_name.rpartition(':')[2]}"
    with closing(open_executor(engine, slots)) as executor, progress_bar(title, len(shards), show=progress) as advance:

        def record(attempt: Attempt, value: Any) -> None:
            on_value(attempt.shard.index, value)
            advance(1, "")

        run_all(
            executor,
            [Attempt(job, shard, 0) for shard in shards],
            retries,
            lambda failed: replace(failed, number=failed.number + 1),
            record,
        )
