"""What several commands share: the lake that they were pointed at, and `--json`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lakeflow_io.errors import NotFoundError

if TYPE_CHECKING:
    from lakeflow.lake import Lake

__all__ = ["home", "json_option", "open_lake"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


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
