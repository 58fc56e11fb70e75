"""`lakeflow runs | runs gc`: which runs there are, and what those left that nobody finished."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import cache_of_runs, json_option, older_than_option, open_lake, run_options
from lakeflow.cli.output import print_json, print_rows
from lakeflow.quantities import bytes_text, count_text, number_of, seconds_text

if TYPE_CHECKING:
    from datetime import timedelta

    from lakeflow.runs.state.collect import CollectedRun
    from lakeflow.runs.state.listing import RunInfo

__all__ = ["runs_group"]

_SHOWN = 5  # of a run's files


@click.group("runs", invoke_without_command=True)
@click.option("--into", "tables", multiple=True, metavar="TABLE", help="Only runs that write into it; may be repeated.")
@run_options
@json_option
@click.pass_context
def runs_group(
    context: click.Context, tables: tuple[str, ...], cache: str | None, root: str | None, *, as_json: bool
) -> None:
    """List runs, newest first: state, progress, owner, age."""
    if context.invoked_subcommand is not None:
        if tables or cache or root or as_json:
            raise click.UsageError(f"options go behind the command: lakeflow runs {context.invoked_subcommand} ...")
        return
    if tables and cache:
        raise click.UsageError("--into is for tables, --cache for a cache.")
    into = cache_of_runs(context, cache, root)
    found = open_lake(context).runs(tables or None) if into is None else into.runs()
    if as_json:
        print_json([_facts(info) for info in found])
        return
    columns = [
        "run",
        "table" if into is None else "cache",
        "state",
        "shards",
        "failed",
        "set aside",
        "rows",
        "owner",
        "age",
        "last heard",
    ]
    print_rows(columns, [_cells(info) for info in found])
    if not found:
        click.echo("No runs yet. `lakeflow run --help` says how to begin one.", err=True)


def _facts(info: RunInfo) -> dict[str, Any]:
    times = {name: datetime.fromtimestamp(getattr(info, name), UTC) for name in ("created", "updated")}
    return {**asdict(info), **times, "progress": round(info.progress, 4), "age_seconds": round(info.age_seconds)}


def _cells(info: RunInfo) -> list[Any]:
    owner = "@".join(str(info.owner[key]) for key in ("user", "host") if info.owner.get(key))
    silent = max(0.0, datetime.now(UTC).timestamp() - info.updated)
    return [
        info.run_id,
        info.table,
        info.state,
        f"{info.done:,}/{info.total:,}",
        info.failed,
        info.quarantined,
        count_text(info.rows),
        owner,
        _ago(info.age_seconds),
        _ago(silent),
    ]


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 59.5 else seconds_text(seconds)  # noqa: PLR2004  (then it is a minute)


@runs_group.command("gc")
@click.option("--dry-run", is_flag=True, help="Tell what would go, and change nothing.")
@older_than_option
@json_option
@click.pass_context
def gc_command(context: click.Context, older_than: timedelta, *, dry_run: bool, as_json: bool) -> None:
    """Give up runs that nobody finishes, and delete the files that they and losing tries left.

    A run that is given up can't publish any more. No file goes that a snapshot has.
    """
    found = open_lake(context).collect_runs(older_than=older_than, dry_run=dry_run)
    if as_json:
        print_json([{**asdict(run), "deleted": not dry_run and run.state != "waiting"} for run in found])
        return
    for run in found:
        click.echo(_collected(run, dry_run=dry_run))
        for uri in run.files[:_SHOWN]:
            click.echo(f"  {uri}")
        if len(run.files) > _SHOWN:
            click.echo(f"  and {len(run.files) - _SHOWN:,} more")
    total = sum(run.bytes for run in found if run.state != "waiting")
    verb = "Would delete" if dry_run else "Deleted"
    count = sum(len(run.files) for run in found if run.state != "waiting")
    click.echo(f"{verb} {number_of(count, 'file')}, {bytes_text(total)}, of {number_of(len(found), 'run')}.")


def _collected(run: CollectedRun, *, dry_run: bool) -> str:
    said = {
        "abandoned": "would be given up" if dry_run else "given up",
        "committed": "committed; files of tries that lost",
        "waiting": "given up while it may still be committing: its files go once somebody else has committed",
    }
    return (
        f"{run.run_id} ({run.table}): {said[run.state]}; {number_of(len(run.files), 'file')}, {bytes_text(run.bytes)}"
    )
