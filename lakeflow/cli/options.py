"""What several commands share: the lake or table that they were pointed at, `--snapshot`, `--json`."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lakeflow_io.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.cache.cache import Cache
    from lakeflow.lake import Lake
    from lakeflow.runs.state.listing import FoundRun
    from lakeflow.table import Table

__all__ = [
    "cache_of_runs",
    "home",
    "json_option",
    "lake_and_run",
    "named_cache",
    "named_table",
    "older_than_option",
    "open_lake",
    "root_option",
    "run_options",
    "snapshot_name",
]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _span(context: click.Context, parameter: click.Parameter, text: str) -> timedelta:
    """`90m`, `36h`, `7d`."""
    del context, parameter
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no time: write 90m, 36h or 7d.")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise click.BadParameter(f"{text!r} is longer than {timedelta.max.days} days.") from None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
older_than_option = click.option(
    "--older-than",
    callback=_span,
    default="7d",
    show_default=True,
    metavar="TIME",
    help="How long a run that hasn't published must have been silent to be given up, such as 36h.",
)
root_option = click.option(
    "--root",
    metavar="FOLDER|URL",
    help="Where caches lie: a folder, or s3://, gs:// or az://; default $LAKEFLOW_HOME/caches, else ./caches. "
    "`cache get` takes the URL of a server or of a DynamoDB table, too.",
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--cache` and `--root`: where a run lies whose first output is no table."""
    named = click.option("--cache", metavar="NAME", help="The cache into which it writes, where that is no table.")
    rooted = click.option(
        "--root", metavar="FOLDER|URL", help="Of the cache; default $LAKEFLOW_HOME/caches, or ./caches."
    )
    return named(rooted(command))


def cache_of_runs(context: click.Context, name: str | None, root: str | None) -> Cache | None:
    """The cache of `run_options`; None where there is none, for a table's runs.

    Raises:
        ConfigError: caches can't lie there.
        InputError: the name isn't a plain name.
    """
    from lakeflow.cache.cache import Cache

    if name is None:
        if root is not None:
            raise click.UsageError("--root goes with --cache.")
        return None
    return Cache(name, root, storage=context.obj["properties"])


def lake_and_run(context: click.Context, run_id: str, cache: Cache | None) -> tuple[Lake | None, FoundRun]:
    """A run, and the lake of what it reads; None where it reads no table.

    Raises:
        NotFoundError: there is no such run, or no lakehouse to look for it in.
    """
    from lakeflow.runs.state.listing import find_run

    if cache is None:
        lake = open_lake(context)
        return lake, find_run(lake, run_id)
    found = cache.found_run(run_id)
    return open_lake(context) if found.plan.inputs else None, found


def home() -> Path:
    """The folder of the embedded lake."""
    return Path(os.environ.get("LAKEFLOW_HOME") or "lakehouse").absolute()


def open_lake(context: click.Context, *, create: bool = False) -> Lake:
    """The lake of the global options; the embedded one is made only for a command that writes.

    Raises:
        NotFoundError: there is no embedded lake, and `create` is false.
    """
    from lakeflow.lake import connect

    catalog, properties = context.obj["catalog"], context.obj["properties"]
    if catalog is None and not properties and not create and not (home() / "catalog.db").exists():
        raise NotFoundError(
            f"There is no lakehouse in {home()}.", "set LAKEFLOW_HOME, name a --catalog, or make one: lakeflow demo."
        )
    return connect(catalog, **properties)


def named_table(context: click.Context, name: str) -> Table:
    """A table of the lake; or, where a path is given, what lies there: an Iceberg table, or Parquet files.

    Raises:
        NotFoundError: there is none.
    """
    if "/" not in name and not name.endswith(".parquet"):
        if "." not in name and Path(name).exists():
            raise click.UsageError(f"{name!r} is no table's name. For what lies in it write ./{name}")
        return open_lake(context).table(name)
    from lakeflow.static import open_table

    if context.obj["catalog"] is not None:
        raise click.UsageError("--catalog goes with a table's name, not with a path.")
    return open_table(name, **context.obj["properties"])


def named_cache(context: click.Context, name: str) -> Cache:
    """A cache of the root that `lakeflow cache` was given.

    Raises:
        ConfigError: caches can't lie there.
        InputError: the name isn't a plain name.
    """
    from lakeflow.cache.cache import Cache

    return Cache(name, context.obj["root"], storage=context.obj["storage"])


def snapshot_name(text: str | None) -> int | str | datetime | None:
    """What `--snapshot` means: an id, a moment with a time zone, else a branch or a tag."""
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else text
