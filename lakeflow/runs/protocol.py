"""The run protocol: a plan, attempts with markers, a seal, one publication an output.

Any number of drivers may follow it for one run id at once, and any may die at any line. The plan, the markers and the
seal are put if absent, so all drivers go by the same ones. Each publication is bound to nobody having published, and
outputs are published in the order in which they were given: a crash between two leaves the first ones visible, and
whoever resumes publishes the rest of the same seal.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lakeflow.runs.attempts.attempt import Attempt
from lakeflow.runs.outputs.publishing import Publisher
from lakeflow.runs.plan import RunPlan, check_same, described_works
from lakeflow.runs.progress.progress import progress_shown
from lakeflow.runs.progress.tally import Tally
from lakeflow.runs.scheduling.observers import FailuresRecorded, Observers, Values
from lakeflow.runs.scheduling.schedule import run_all
from lakeflow.runs.state.journal import Journal
from lakeflow.runs.state.seal import Seal
from lakeflow.runs.state.status import StatusFile, settle_status
from lakeflow.runs.work import largest_first, whole_id
from lakeflow_engines.executors import open_executor
from lakeflow_engines.shared import delete_shared, put_shared, sweep_copies
from lakeflow_io.errors import ObjectNotFoundError, RunError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.runs.attempts.attempt import Job
    from lakeflow.runs.attempts.call import Call
    from lakeflow.runs.failures import Failure
    from lakeflow.runs.outputs.outputs import Outputs
    from lakeflow.runs.outputs.sink import Publication
    from lakeflow.runs.policy import Policy
    from lakeflow.runs.scheduling.schedule import Outcome
    from lakeflow.runs.state.done import Done
    from lakeflow.runs.work import Work
    from lakeflow_engines.executors import Executor
    from lakeflow_engines.shared import SharedTable

__all__ = ["Ended", "Workers", "execute", "run_once", "settled"]


@dataclass(slots=True)
class Workers:
    """Where attempts run, and what is done about those that fail."""

    engine: Any
    slots: int | None
    policy: Policy
    progress: bool
    _opened: ExitStack = field(default_factory=ExitStack)
    _executor: Executor | None = None

    def executor(self) -> Executor:
        """Opened when it is first needed: a run that has nothing left to do starts no workers."""
        if self._executor is None:
            self._executor = open_executor(self.engine, self.slots)
            self._opened.callback(self._executor.close)
        return self._executor

    def close(self) -> None:
        """Let go of the executor."""
        self._executor = None
        self._opened.close()


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run came to."""

    journal: Journal
    publications: dict[str, Publication]
    shards: int
    """Works."""
    ran: int
    """Works that were run here, wholly or in part."""
    quarantined: dict[str, Failure]
    """The last failure of each work, or part of one, that was left out."""

    @property
    def left_out(self) -> int:
        """Works that were left out, wholly or in part."""
        return len({whole_id(work_id) for work_id in self.quarantined})

    @property
    def rows(self) -> int:
        """Written, into all outputs."""
        return sum(each.rows for each in self.publications.values())


def run_once(
    works: Sequence[Work],
    call: Call,
    outputs: Outputs,
    workers: Workers,
    *,
    recipe: dict[str, Any] | None = None,
    allow_code_change: bool = False,
) -> Ended:
    """Run what isn't done yet and publish it, unless it is published.

    Args:
        works: All of the run.
        call: The function and what it is called with.
        outputs: What is written into.
        workers: Where it runs; closed by the caller.
        recipe: How the works are made again.
        allow_code_change: Whether a run that was begun with other code goes on.

    Raises:
        PlanChangedError: the run id belongs to another plan.
        RunAbandonedError: the run was given up.
    """
    started = time.perf_counter()
    first = outputs.first
    journal = Journal.of(open_transport(first.store_properties), first.location, call.run_id)
    encoded = call.encode_shared(journal.shared_folder, first.store_properties)
    shared = tuple(table for table, _ in encoded)
    new = _plan(works, call, outputs, shared, recipe)
    plan, conditional = journal.adopt(new)
    check_same(plan, new, allow_code_change=allow_code_change)
    journal = replace(journal, conditional=conditional)
    if plan.code != new.code:
        journal.mark_code(new)
    publisher = Publisher(plan, journal, outputs, workers.executor, started)
    if publisher.all_published():
        _clean(shared)
        return settled(publisher)
    seal = journal.sealed()
    if seal is not None:
        seal.check(plan.run_id)
        publisher.publish(seal)
        _clean(shared)
        return settled(publisher)
    done = journal.done(len(works))
    _put(encoded, needed=done.count < len(works))
    job = call.job(shared, outputs, journal.folder, deadline=workers.policy.deadline, conditional=conditional)
    tally = _tally(works, done, journal)
    with StatusFile(journal, tally) as status:
        ran = _run_and_publish(works, done, job, workers, publisher, tally)
        ended = ended_as(publisher, ran)
        status.published(ended.rows, ended.left_out)
    _clean(shared)
    return ended


def _plan(
    works: Sequence[Work], call: Call, outputs: Outputs, shared: Sequence[SharedTable], recipe: dict[str, Any] | None
) -> RunPlan:
    return RunPlan(
        run_id=call.run_id,
        kind="item" if works and works[0].id.startswith("item-") else "shard",
        shards=len(works),
        function=call.name,
        code=call.code_hash,
        params=call.params,
        shared={table.name: table.digest for table in shared},
        outputs=outputs.describe(),
        planned_on=outputs.heads(),
        settings=outputs.settings(),
        named=outputs.named,
        recipe=recipe,
        **described_works(works),
    )


def _put(encoded: list[tuple[SharedTable, memoryview]], *, needed: bool) -> None:
    """Put the shared tables where tasks find them, and let go of their bytes."""
    for table, payload in encoded if needed else ():
        put_shared(table, payload)
    encoded.clear()


def _tally(works: Sequence[Work], done: Done, journal: Journal) -> Tally:
    """The count so far; the rows are what the last driver said."""
    before = journal.read("status.json") if done.count else None
    return Tally(works, done, done.parts, int((before or {}).get("rows", 0)))


def _run_and_publish(
    works: Sequence[Work], done: Done, job: Job, workers: Workers, publisher: Publisher, tally: Tally
) -> int:
    """Run what isn't done, seal and publish; returns how many works ran here."""
    journal = publisher.journal
    try:
        outcome, ran = _run_rest(works, done, job, workers, journal, tally)
    except (ObjectNotFoundError, RunError):  # the latter where all that was left was set aside for it
        if publisher.all_published():  # a twin that was done first took the shared tables away
            return 0
        sealed = journal.sealed()
        if sealed is not None:
            sealed.check(publisher.plan.run_id)  # whether somebody gave the run up, and removed what it needs
        raise
    seal = journal.seal(Seal("publish", outcome.split, tuple(sorted(outcome.quarantined))))
    seal.check(publisher.plan.run_id)
    publisher.publish(seal, done)
    return ran


def _run_rest(
    works: Sequence[Work], done: Done, job: Job, workers: Workers, journal: Journal, tally: Tally
) -> tuple[Outcome, int]:
    """Run what isn't done; tell what became of it, and how many works ran here."""
    history = journal.failures(lambda work_id: work_id not in done)
    ran, in_parts = 0, set[str]()

    def count(work_id: str, marker: Any) -> None:
        nonlocal ran
        if whole_id(work_id) == work_id:
            ran += 1
        else:
            in_parts.add(whole_id(work_id))
        done.add(work_id, marker["marker_bytes"])

    outcome = execute(works, job, workers, count, tally, done=done, history=history, journal=journal)
    return outcome, ran + len(in_parts)


def ended_as(publisher: Publisher, ran: int) -> Ended:
    """What a run has come to whose outputs are all visible."""
    seal = publisher.journal.sealed()
    left_out = frozenset(seal.quarantined) if seal is not None else frozenset[str]()
    failures = publisher.journal.failures(lambda work_id: work_id in left_out) if left_out else {}
    return Ended(
        publisher.journal,
        {name: publisher.publications[name] for name in publisher.plan.output_names},
        publisher.plan.shards,
        ran,
        {work_id: failures[work_id][-1] for work_id in sorted(left_out) if work_id in failures},
    )


def settled(publisher: Publisher) -> Ended:
    """What a run has come to of which this driver ran nothing; the last one may have died before it could say so."""
    ended = ended_as(publisher, 0)
    settle_status(ended.journal, ended.shards, ended.rows, ended.left_out)
    return ended


def _clean(shared: Sequence[SharedTable]) -> None:
    for table in shared:
        delete_shared(table)
    sweep_copies()


def execute(
    works: Sequence[Work],
    job: Job,
    workers: Workers,
    on_value: Callable[[str, Any], None],
    tally: Tally,
    *,
    done: Done | None = None,
    history: dict[str, list[Failure]] | None = None,
    journal: Journal | None = None,
) -> Outcome:
    """Run a job over works, showing progress.

    Args:
        works: All of the run.
        job: What is done with each.
        workers: Where.
        on_value: Gets the id of each work that ends, and what `run_attempt` came to.
        tally: The run's count.
        done: Which need not be run.
        history: Earlier failures of the others.
        journal: Where failures are recorded.
    """
    from lakeflow.runs.scheduling.schedule import Outcome

    left = len(works) - (done.count if done is not None else 0)
    if not left:
        return Outcome()
    policy = workers.policy
    if not job.conditional:
        policy = replace(policy, speculate=False)
    title = f"foreach {job.function_name.rpartition(':')[2]}"
    with progress_shown(title, tally, show=workers.progress):
        observers: list[Any] = [Values(on_value), tally]
        if journal is not None:
            observers.append(FailuresRecorded(journal))
        return run_all(
            workers.executor(),
            lambda work, number: Attempt(job, work, number),
            largest_first(works, done if done is not None else ()),
            policy,
            history or {},
            Observers(observers),
            done.parts if done is not None else (),
            len(works),
        )
