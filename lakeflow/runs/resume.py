"""A run goes on where it stopped, from its id alone: what it needs is in its plan."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from lakeflow.runs.attempts.call import Call
from lakeflow.runs.foreach import run_of
from lakeflow.runs.outputs.outputs import Outputs
from lakeflow.runs.outputs.publishing import Publisher
from lakeflow.runs.outputs.table_sink import TableSink
from lakeflow.runs.plan import check_same_outputs
from lakeflow.runs.policy import Policy
from lakeflow.runs.protocol import Ended, Workers, run_once, settled
from lakeflow.runs.recipe import connected, works_again
from lakeflow.runs.state.listing import find_run
from lakeflow_engines.executors import check_engine
from lakeflow_io.errors import FunctionError, InputError, LakeflowError, ObjectNotFoundError
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lakeflow.cache.cache import Cache
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.lake import Lake
    from lakeflow.runs.outputs.sink import Sink
    from lakeflow.runs.plan import RunPlan
    from lakeflow.runs.run import Run
    from lakeflow.runs.state.journal import Journal
    from lakeflow.runs.state.listing import FoundRun
    from lakeflow.runs.work import Work

__all__ = ["named_function", "resume", "shared_tables"]


def resume(
    run_id: str,
    function: Callable[..., Any] | None = None,
    *,
    lake: Lake | None = None,
    into: str | Cache | None = None,
    checks: Sequence[Check] | None = None,
    allow_code_change: bool = False,
    engine: Any = "threads",
    slots: int | None = None,
    retries: int = 3,
    on_error: Literal["raise", "quarantine"] = "raise",
    max_failures: float | None = None,
    deadline: float | None = None,
    hard_deadline: float | None = None,
    speculate: bool = True,
    shared: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Run:
    """Go on with a run that stopped before it had committed; a no-op for one that has.

    Shards that are done stay done. Those that had been set aside are tried again, unless the run had got as far
    as to agree on what it publishes.

    Args:
        run_id: The run's.
        function: Its function; default the one that its plan names, where that can be imported.
        lake: Where its tables are; default `connect()`.
        into: The cache that is its first output; or the name of the table that is, which saves looking through all
            tables.
        checks: Of versions of caches, as in `precompute`; a run that was begun with some needs them again, since a
            plan can't hold them. `[]` publishes without.
        allow_code_change: Go on with a function that isn't the one that it was begun with: shards that are done
            keep the rows of the old one.
        engine: As in `foreach`, and so are all that follow.
        slots: Shards at one time on this machine.
        retries: More attempts for a shard when the store fails.
        on_error: What becomes of a shard that fails for good.
        max_failures: How many may be left out.
        deadline: Seconds after which a task is asked to end.
        hard_deadline: Seconds after which its worker is restarted.
        speculate: Whether a straggler gets a second attempt.
        shared: Its shared tables; default those that lie in the run's folder.
        progress: Show a bar on a terminal.

    Raises:
        NotFoundError: there is no such run, or a table or snapshot of it is gone.
        InputError: its shards, function, shared tables or checks can't be had from its plan; says how to go on.
        PlanChangedError: the function or a table is another one now.
        RunAbandonedError: the run was given up.
        LakeflowError: as `foreach` raises.

    Example:
        >>> run = resume("match-2026-11-23")  # doctest: +SKIP
    """
    started = time.perf_counter()
    check_engine(engine, slots)
    workers = Workers(
        engine, slots, Policy(retries, on_error, max_failures, deadline, hard_deadline, speculate), progress
    )
    if into is None or isinstance(into, str):
        lake = connected(lake)  # once: all that follows looks there, too
    found = _found(lake, run_id, into)
    plan, journal = found.plan, found.journal
    outputs = _outputs(lake, plan, into, checks)
    check_same_outputs(plan, outputs.describe())
    publisher = Publisher(plan, journal, outputs, workers.executor, started)
    try:
        if _finished(publisher, checks):
            ended = settled(publisher)
            return run_of(run_id, _left_out(lake, plan, ended), ended, started)
        works = works_again(lake, plan.recipe, run_id)
        tables = shared if shared is not None else shared_tables(journal, plan)
        call = Call(function or named_function(plan), run_id, plan.params, tables)
        ended = run_once(works, call, outputs, workers, recipe=plan.recipe, allow_code_change=allow_code_change)
        return run_of(run_id, works, ended, started)
    finally:
        workers.close()


def _found(lake: Lake | None, run_id: str, into: str | Cache | None) -> FoundRun:
    if into is None or isinstance(into, str):
        return find_run(connected(lake), run_id, into)
    if not hasattr(into, "found_run"):
        message = f"into={into!r} is neither a table's name nor a cache."
        raise InputError(message, "give the name of the table, such as kg.titles, or the cache.")
    return into.found_run(run_id)


def _finished(publisher: Publisher, checks: Sequence[Check] | None) -> bool:
    """Publish what is sealed, which takes neither the function nor the shards; tell whether all is published."""
    if publisher.all_published():
        return True
    _need_checks(publisher.plan, checks)
    seal = publisher.journal.sealed()
    if seal is None:
        return False
    seal.check(publisher.plan.run_id)
    publisher.publish(seal)
    publisher.journal.clear("shared")
    return True


def _need_checks(plan: RunPlan, checks: Sequence[Check] | None) -> None:
    """Refuse to publish without the checks that a run was begun with, unless that is what was asked for."""
    missing = [check for settings in plan.settings.values() for check in settings.get("checks", ())]
    if missing and checks is None:
        raise InputError(
            f"Run {plan.run_id!r} was begun with checks, which its plan can't hold: {', '.join(missing)}.",
            "give them again, as checks=[...]; [], or --no-checks in a shell, publishes without.",
        )


def _left_out(lake: Lake | None, plan: RunPlan, ended: Ended) -> Sequence[Work]:
    """The works of a run that had ended, where some were left out and they can still be made."""
    if not ended.quarantined:
        return ()
    try:
        return works_again(lake, plan.recipe, plan.run_id)
    except LakeflowError:
        return ()


def _outputs(lake: Lake | None, plan: RunPlan, into: str | Cache | None, checks: Sequence[Check] | None) -> Outputs:
    sinks: dict[str, Sink] = {}
    for output in plan.outputs:
        name = output["name"]
        if "table" in output:
            sinks[name] = TableSink(connected(lake).table(output["table"]), output["mode"], output["where"])
        else:
            given = None if into is None or isinstance(into, str) or sinks else into  # it is the first output
            cache = _cache(lake, output) if given is None else given
            sink = cache.sink(output["key"], checks or (), update=output.get("update", False))
            sinks[name] = sink.set_as(plan.settings.get(name, {}))
    return Outputs(sinks, plan.named)


def _cache(lake: Lake | None, output: dict[str, Any]) -> Cache:
    """The cache of a name and root."""
    from lakeflow.cache.cache import Cache

    storage = dict(connected(lake).catalog.properties) if "://" in output["root"] else None
    return Cache(output["cache"], output["root"], storage=storage)


def shared_tables(journal: Journal, plan: RunPlan) -> dict[str, pa.Table]:
    """The run's shared tables, which lie in its folder until it has ended."""
    found = {}
    for name, digest in plan.shared.items():
        try:
            data = journal.transport.get(join(journal.shared_folder, f"{name}-{digest}.arrow"))
        except ObjectNotFoundError as error:
            raise InputError(
                f"Run {plan.run_id!r} had not yet stored its shared table {name!r}.", "give it with shared=."
            ) from error
        found[name] = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    return found


def named_function(plan: RunPlan) -> Callable[..., Any]:
    """Import what a plan names.

    Raises:
        FunctionError: it can't be imported.
    """
    module, _, name = plan.function.partition(":")
    hint = f"give the function itself: resume({plan.run_id!r}, function)."
    if module == "__main__" or "<" in name:
        raise FunctionError(f"{plan.function}, the function of run {plan.run_id!r}, can't be imported.", hint)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except LakeflowError:
        raise
    except Exception as error:
        raise FunctionError(
            f"{plan.function}, the function of run {plan.run_id!r}, can't be imported: {error}", hint
        ) from error
    if not callable(found):
        raise FunctionError(f"{plan.function} is no function.", hint)
    return found
