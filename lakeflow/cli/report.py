"""`lakeflow report | reproduce`: what happened in a run, and one shard of it again."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.function import find_function, look_here
from lakeflow.cli.options import cache_of_runs, json_option, lake_and_run, run_options
from lakeflow.cli.output import print_json, print_rows
from lakeflow.quantities import number_of
from lakeflow_io.errors import LakeflowError

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

__all__ = ["report_command", "reproduce_command"]


@click.command("report")
@click.argument("run_id", metavar="RUN")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Where; default RUN.html.")
@run_options
@json_option
@click.pass_context
def report_command(
    context: click.Context, run_id: str, output: str | None, cache: str | None, root: str | None, *, as_json: bool
) -> None:
    """Write one HTML page that shows what happened in a run."""
    from lakeflow.runs.report import write_report

    _, found = lake_and_run(context, run_id, cache_of_runs(context, cache, root))
    path = write_report(found.journal, output)
    if as_json:
        print_json({"run_id": run_id, "file": str(path)})
    else:
        click.echo(path)


@click.command("reproduce")
@click.argument("run_id", metavar="RUN")
@click.argument("shard", metavar="SHARD")
@click.option("--function", metavar="MODULE:FUNCTION", help="Another function than the run's.")
@click.option("-n", "rows", default=10, show_default=True, type=click.IntRange(min=0), help="Rows to show at most.")
@run_options
@json_option
@click.pass_context
def reproduce_command(
    context: click.Context,
    run_id: str,
    shard: str,
    function: str | None,
    rows: int,
    cache: str | None,
    root: str | None,
    *,
    as_json: bool,
) -> None:
    """Call a run's function with one SHARD (shard-00007) in this process; nothing is written.

    Shows the first rows that it returns, or the traceback of what it raises. With a debugger:
    python -m pdb -m lakeflow reproduce RUN SHARD
    """
    from lakeflow.runs.reproduce import reproduce

    look_here()
    lake, found = lake_and_run(context, run_id, cache_of_runs(context, cache, root))
    try:
        value = reproduce(lake, found, shard, find_function(function) if function else None)
    except LakeflowError:
        raise
    except Exception as error:  # noqa: BLE001  (the function's own: its traceback is what was asked for)
        traceback.print_exception(error.with_traceback(_outside(error)))
        raise SystemExit(1) from None
    for name, parts in value.items():
        _show(name, parts, rows, as_json=as_json)


def _outside(error: Exception) -> TracebackType | None:
    """An error's traceback from where our own code ends."""
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "lakeflow":
        trace = trace.tb_next
    return trace


def _show(name: str, parts: list[Any], rows: int, *, as_json: bool) -> None:
    """Rows of an output, or what was returned where that holds none."""
    try:
        table = _table(parts)
    except LakeflowError:
        for part in parts:
            click.echo(repr(part))
        return
    found = table.slice(0, rows).to_pylist()
    if as_json:
        for row in found:
            print_json(row)
        return
    print_rows(table.schema.names, [list(row.values()) for row in found])
    click.echo(f"{number_of(table.num_rows, 'row')}" + (f" for {name}" if name else ""), err=True)


def _table(parts: list[Any]) -> pa.Table:
    import pyarrow as pa

    from lakeflow_engines.frames import to_arrow

    if parts and all(isinstance(part, dict) for part in parts):
        return pa.Table.from_pylist(parts)
    return pa.concat_tables([to_arrow(part, "what the function returned") for part in parts])
