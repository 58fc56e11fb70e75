"""One shard of a run, again and alone: in this process, where a debugger is, and without writing anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lakeflow.runs.attempts.call import Call
from lakeflow.runs.attempts.deadline import Deadline
from lakeflow.runs.attempts.feed import Feed
from lakeflow.runs.attempts.measured import Stopwatch
from lakeflow.runs.recipe import works_again
from lakeflow.runs.resume import named_function, shared_tables
from lakeflow_engines.frames import from_arrow
from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.lake import Lake
    from lakeflow.runs.state.listing import FoundRun
    from lakeflow.runs.work import Work

__all__ = ["reproduce"]


def reproduce(
    lake: Lake | None, found: FoundRun, work_id: str, function: Callable[..., Any] | None = None
) -> dict[str, list[Any]]:
    """Call a run's function with one of its shards, as the run did.

    Args:
        lake: Where the tables are that it reads; default `connect()`.
        found: The run.
        work_id: `shard-00007`, `shard-00007.2of4` for a part of one, `item-00007`.
        function: Its function; default the one that its plan names.

    Returns:
        What the function returns, or each thing that it yields, by output; under "" where the run has one output.

    Raises:
        NotFoundError: there is no such shard, or a table or snapshot of it is gone.
        InputError: the shards or shared tables can't be had from the plan.
        FunctionError: the function can't be imported.
        Exception: whatever the function raises, as it raises it.
    """
    run_id = found.plan.run_id
    work = _work(works_again(lake, found.plan.recipe, run_id), run_id, work_id)
    tables = shared_tables(found.journal, found.plan)
    call = Call(function or named_function(found.plan), run_id, found.plan.params, tables)
    kinds = call.kinds
    shared = {name: from_arrow(table, kinds.get(name, "arrow")) for name, table in call.tables.items()}
    feed = Feed(work, next(iter(kinds.values())), None, Deadline(), Stopwatch())
    value = call.function(feed.argument(), **shared, **call.params)
    parts: list[Any] = list(value) if isinstance(value, Iterator) else [value]
    if not found.plan.named:
        return {"": parts}
    return {name: [part[name] for part in parts if name in part] for name in found.plan.output_names}


def _work(works: Sequence[Work], run_id: str, work_id: str) -> Work:
    """A work, or a part of one, by its id."""
    kind, _, rest = work_id.partition("-")
    number, _, part = rest.partition(".")
    if not number.isdecimal() or int(number) >= len(works) or works[int(number)].id != f"{kind}-{number}":
        there = f"{works[0].id} to {works[-1].id}" if works else "none"
        raise NotFoundError(f"Run {run_id!r} has no shard {work_id!r}.", f"there are: {there}.")
    whole = works[int(number)]
    if not part:
        return whole
    found = next((each for each in whole.split() if each.id == work_id), None)
    if found is None:
        raise InputError(f"{whole.id} can't be split into {work_id!r}.", f"run the whole: {whole.id}.")
    return found
