"""`lakeflow run | resume`: a foreach from a shell."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import click

from lakeflow.cli.function import find_function, look_here
from lakeflow.cli.options import (
    cache_of_runs,
    json_option,
    lake_and_run,
    named_table,
    open_lake,
    run_options,
    snapshot_name,
)
from lakeflow.cli.output import print_json
from lakeflow.quantities import count_text, number_of, seconds_text
from lakeflow_io.errors import InputError, RunInterruptedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.runs.run import Run
    from lakeflow.table import Table

__all__ = ["resume_command", "run_command"]


def _engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where attempts run and what is done about failures: the same to begin and to go on."""
    options = [
        click.option(
            "--engine", default="threads", show_default=True, metavar="ENGINE",
            help="serial, threads, dask (processes of this machine), or the address of a Dask scheduler.",
        ),
        click.option("--slots", type=click.IntRange(min=1), metavar="N", help="Shards at a time; default one a core."),
        click.option(
            "--retries", type=click.IntRange(min=0), default=3, show_default=True, metavar="N",
            help="More tries for a shard when the store fails.",
        ),
        click.option(
            "--deadline", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
            help="What a shard may take; twice that and half a minute ends its worker.",
        ),
        click.option(
            "--on-error", type=click.Choice(["raise", "quarantine"]), default="raise", show_default=True,
            help="What becomes of a shard that fails for good: it ends the run, or is set aside.",
        ),
        click.option(
            "--max-failures", metavar="N|SHARE",
            help="With quarantine: more shards set aside than this, or this share (such as 1%), end the run.",
        ),
        json_option,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command("run")
@click.argument("function", metavar="MODULE:FUNCTION")
@click.option("--over", required=True, metavar="TABLE|PATH", help="The table that is read.")
@click.option(
    "--into",
    "targets",
    required=True,
    multiple=True,
    metavar="[NAME=]TABLE",
    help="The table that gets the rows; with names, one for each key of the dict that the function returns.",
)
@click.option("--columns", metavar="A,B", help="Columns to read; default all.")
@click.option("--where", metavar="FILTER", help='Rows to read, such as "year >= 2000".')
@click.option("--snapshot", metavar="SNAPSHOT", help="What to read: an id, a branch, a tag, or a moment.")
@click.option("--n", type=click.IntRange(min=1), metavar="N", help="So many shards at most.")
@click.option("--target-size", metavar="SIZE", help='Or shards of this size in the store; default "256 MiB".')
@click.option(
    "--by",
    type=click.Choice(["bytes", "rows", "partition"]),
    default="bytes",
    show_default=True,
    help="What is about equal; or one for each partition.",
)
@click.option("--run-id", metavar="ID", help="Names the run; the same id again goes on with it. Default a new one.")
@click.option(
    "--mode",
    type=click.Choice(["append", "overwrite", "overwrite-partitions"]),
    default="append",
    show_default=True,
    help="What becomes of the rows that are there.",
)
@click.option(
    "--param", "params", multiple=True, metavar="KEY=JSON", help="A keyword argument of the function; may be repeated."
)
@_engine_options
@click.pass_context
def run_command(
    context: click.Context,
    /,
    function: str,
    over: str,
    targets: tuple[str, ...],
    columns: str | None,
    where: str | None,
    snapshot: str | None,
    n: int | None,
    target_size: str | None,
    by: Literal["bytes", "rows", "partition"],
    run_id: str | None,
    mode: Literal["append", "overwrite", "overwrite-partitions"],
    params: tuple[str, ...],
    *,
    as_json: bool,
    **given: Any,
) -> None:
    """Call a function once for each shard of a table, and publish what it returns in one commit.

    MODULE is looked for in the current folder, too.
    """
    from lakeflow.runs.foreach import foreach

    called = find_function(function, remote="://" in given["engine"])
    wanted = [name.strip() for name in columns.split(",")] if columns else None
    scan = named_table(context, over).scan(wanted, where, snapshot_name(snapshot))
    name = run_id or f"run-{uuid4().hex[:12]}"
    _begin(name)
    run = _until_interrupted(
        name,
        lambda: foreach(
            scan.shards(n, target_size=target_size, by=by),
            called,
            into=_targets(context, targets),
            run_id=name,
            mode=mode,
            params=_parameters(params),
            **_policy(given),
        ),
    )
    _tell(run, as_json=as_json)


@click.command("resume")
@click.argument("run_id", metavar="RUN")
@click.option("--allow-code-change", is_flag=True, help="Go on although the function has changed since.")
@click.option("--function", metavar="MODULE:FUNCTION", help="The function, where its module is another one now.")
@click.option(
    "--no-checks", is_flag=True, help="Publish a cache's version without the checks of the call that began it."
)
@run_options
@_engine_options
@click.pass_context
def resume_command(
    context: click.Context,
    /,
    run_id: str,
    function: str | None,
    cache: str | None,
    root: str | None,
    *,
    allow_code_change: bool,
    no_checks: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Go on with a run where it stopped; one that has committed stays as it is."""
    from lakeflow.runs.plan import shell_options
    from lakeflow.runs.resume import resume

    _begin(run_id)
    look_here()
    into = cache_of_runs(context, cache, root)
    lake, found = lake_and_run(context, run_id, into)
    run = _until_interrupted(
        run_id,
        lambda: resume(
            run_id,
            lake=lake,
            into=found.plan.outputs[0]["table"] if into is None else into,  # where it was found
            checks=[] if no_checks else None,
            function=find_function(function, remote="://" in given["engine"]) if function else None,
            allow_code_change=allow_code_change,
            **_policy(given),
        ),
        shell_options(found.plan.outputs),
    )
    _tell(run, as_json=as_json)


def _begin(run_id: str) -> None:
    """Name the run before anything can happen to it; progress goes into the log where nobody watches a line."""
    logging.getLogger("lakeflow.progress").setLevel(logging.INFO)
    click.echo(f"run {run_id}", err=True)


def _until_interrupted(run_id: str, run: Callable[[], Run], options: str = "") -> Run:
    try:
        return run()
    except KeyboardInterrupt as error:
        raise RunInterruptedError(
            f"Run {run_id} was stopped at once.",
            f"what is done stays done; go on with: lakeflow resume {run_id}{options}",
        ) from error


def _policy(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "max_failures": _failures(given["max_failures"])}


def _failures(text: str | None) -> float | None:
    """A count, or a share as `0.01` or `1%`."""
    if text is None:
        return None
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text) if "." in text else int(text)
    except ValueError:
        raise click.UsageError(f"--max-failures {text}: write a number of shards, or a share such as 1%.") from None


def _targets(context: click.Context, given: Sequence[str]) -> Table | dict[str, Table]:
    lake = open_lake(context)
    pairs = [(name, table) if equals else ("", name) for name, equals, table in (each.partition("=") for each in given)]
    if len(pairs) == 1 and not pairs[0][0]:
        return lake.table(pairs[0][1])
    if len(dict(pairs)) < len(pairs) or "" in dict(pairs):
        raise click.UsageError("Several --into need a name each: --into matches=kg.matches --into left=kg.left.")
    return {name: lake.table(table) for name, table in pairs}


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--param {each}: write KEY=JSON.")
        try:
            found[name] = json.loads(text)
        except ValueError as error:
            raise InputError(
                f"--param {name} is not JSON: {error}.", f"a text needs its quotes: --param '{name}=\"{text}\"'"
            ) from None
    return found


def _tell(run: Run, *, as_json: bool) -> None:
    """What it came to."""
    outputs = {name: each.id for name, each in run.publications.items()}
    if as_json:
        print_json(
            {
                "run_id": run.run_id,
                "outputs": outputs,
                "rows": run.rows,
                "shards": run.shards,
                "ran": run.ran,
                "quarantined": sorted(run.quarantined),
                "seconds": round(run.seconds, 3),
            }
        )
        return
    from lakeflow.runs.work import whole_id

    several = len(outputs) > 1
    kinds = {name: "snapshot" if each.isdigit() else "version" for name, each in outputs.items()}
    where = ", ".join(f"{kinds[name]} {each}" + (f" of {name}" if several else "") for name, each in outputs.items())
    shards = number_of(run.shards, "shard")
    aside = len({whole_id(work_id) for work_id in run.quarantined})
    before = run.shards - run.ran - aside
    done = f"{shards}, {before:,} of them done before," if before > 0 else shards
    click.echo(f"{run.run_id}: {count_text(run.rows)} rows in {where}; {done} in {seconds_text(run.seconds)}.")
    if run.quarantined:
        named = ", ".join(list(run.quarantined)[:5]) + (", ..." if len(run.quarantined) > 5 else "")  # noqa: PLR2004
        told = f"Set aside: {number_of(aside, 'shard')}, whose rows are missing: {named}."
        click.secho(told, fg="yellow", err=True)
        click.echo(f"What happened: lakeflow report {run.run_id}", err=True)
