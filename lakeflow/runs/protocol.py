"""The run protocol: a plan, attempts with markers, one publication.

Any number of drivers may follow it for one run id at once, and any may die at any line: the plan
and the markers are put if absent, and the publication is bound to nobody having published.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lakeflow.progress import progress_bar
from lakeflow.runs.attempt import Attempt
from lakeflow.runs.journal import Journal
from lakeflow.runs.plan import RunPlan, check_same, shards_digest
from lakeflow.runs.schedule import run_all
from lakeflow.runs.sink import Publication, RunLabel, Sink
from lakeflow_engines.executors import open_executor
from lakeflow_engines.shared import delete_shared, put_shared, sweep_copies
from lakeflow_io.errors import ObjectNotFoundError, PlanChangedError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.runs.attempt import Job
    from lakeflow.runs.call import Call
    from lakeflow_engines.shared import SharedTable
    from lakeflow_io.iceberg.shards import Shard

__all__ = ["Workers", "execute", "run_once"]


@dataclass(frozen=True, slots=True)
class Workers:
    """Where attempts run, and how often."""

    engine: Any
    slots: int | None
    retries: int
    progress: bool


def run_once(shards: Sequence[Shard], call: Call, sink: Sink, workers: Workers) -> tuple[Publication, int]:
    """Run what isn't done yet and publish it, unless it is published.

    Returns:
        The publication, and how many shards ran here.

    Raises:
        PlanChangedError: the run id belongs to another plan.
    """
    started = time.perf_counter()
    journal = Journal.of(open_transport(sink.store_properties), sink.location, call.run_id)
    encoded = call.encode_shared(journal.shared_folder, sink.store_properties)
    shared = tuple(table for table, _ in encoded)
    plan = _plan(shards, call, sink, shared)
    check_same(journal.adopt(plan), plan)
    before = _published(sink, journal, plan)
    if before is not None:
        # The driver that published may have died before it could do these.
        _record(journal, before)
        _clean(shared)
        return before, 0
    markers = journal.done()
    todo = [shard for shard in shards if shard.id not in markers]
    if todo:
        for table, payload in encoded:
            put_shared(table, payload)
    encoded.clear()  # their bytes are in the store now
    job = call.job(shared, sink, journal.folder)
    try:
        execute(todo, job, workers, lambda shard, marker: markers.update({shard.id: marker}))
    except ObjectNotFoundError:
        twin = _published(sink, journal, plan)  # a twin driver that was done first took the shared tables away
        if twin is None:
            raise
        return twin, 0
    publication = _publish(journal, plan, sink, [markers[shard.id] for shard in shards], started)
    _clean(shared)
    return publication, len(todo)


def _clean(shared: Sequence[SharedTable]) -> None:
    for table in shared:
        delete_shared(table)
    sweep_copies()


def _plan(shards: Sequence[Shard], call: Call, sink: Sink, shared: Sequence[SharedTable]) -> RunPlan:
    return RunPlan(
        run_id=call.run_id,
        source=shards[0].spec.source if shards else None,
        shards=len(shards),
        shards_digest=shards_digest(shards),
        function=call.name,
        code=call.code_hash,
        params=call.params,
        shared={table.name: table.digest for table in shared},
        output=sink.describe(),
    )


def _published(sink: Sink, journal: Journal, plan: RunPlan) -> Publication | None:
    """What this run published earlier, if it did; the record outlives an expired snapshot."""
    before = sink.find(plan.run_id)
    record = journal.committed() if before is None else None
    if record is not None:
        del record["format"]
        before = Publication(record.pop("publication"), **record)
    if before is not None and before.plan_digest != plan.digest:
        raise PlanChangedError(f"Run {plan.run_id!r} was published with another plan.", "use another run id.")
    return before


def _publish(
    journal: Journal, plan: RunPlan, sink: Sink, markers: Sequence[dict[str, Any]], started: float
) -> Publication:
    label = RunLabel(
        run_id=plan.run_id,
        plan_digest=plan.digest,
        source=plan.source,
        shards=plan.shards,
        rows_in=sum(marker["rows_in"] for marker in markers),
        seconds=round(time.perf_counter() - started, 3),
    )
    publication = sink.publish(label, [file for marker in markers for file in marker["files"]])
    _record(journal, publication)
    return publication


def _record(journal: Journal, publication: Publication) -> None:
    facts = asdict(publication)
    journal.mark_committed({"format": 1, "publication": facts.pop("id"), **facts})


def execute(shards: Sequence[Shard], job: Job, workers: Workers, on_value: Callable[[Shard, Any], None]) -> None:
    """Run a job over shards, showing progress; starts nothing for no shards."""
    if not shards:
        return
    title = f"foreach {job.function_name.rpartition(':')[2]}"
    with (
        closing(open_executor(workers.engine, workers.slots)) as executor,
        progress_bar(title, len(shards), show=workers.progress) as advance,
    ):

        def record(attempt: Attempt, value: Any) -> None:
            on_value(attempt.shard, value)
            advance(1, "")

        run_all(
            executor,
            [Attempt(job, shard, 0) for shard in shards],
            workers.retries,
            lambda failed: replace(failed, number=failed.number + 1),
            record,
        )
