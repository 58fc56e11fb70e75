"""Drivers in processes of their own, which may end at a step."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

import lakeflow as lf

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import pyarrow as pa

KILLED = 9
"""The exit code of a driver that ended at its step."""


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def drive(home: str, namespace: str, death: tuple[str, str, bool] | None, said: Connection) -> None:
    """Run over the pair's tables, and say how many shards ran.

    Args:
        home: The lakehouse.
        namespace: Of the tables.
        death: The step that ends the process at once: its module in `lakeflow.runs`, and its class behind a colon if it
            is a method; its name; whether the step has been taken then.
        said: Where the answer goes.
    """
    os.environ["LAKEFLOW_HOME"] = home
    if death is not None:
        _die_at(*death)
    lake = lf.connect()
    source, into = (lake.table(f"{namespace}.{name}") for name in ("source", "into"))
    said.send(
        lf.foreach(source.scan().shards(n=4), same, into=into, run_id="once", engine="serial", progress=False).ran
    )


def _die_at(where: str, name: str, after: bool) -> None:  # noqa: FBT001  (of a tuple)
    module, _, owner = where.partition(":")
    stands = import_module(f"lakeflow.runs.{module}")
    if owner:
        stands = getattr(stands, owner)
    original = getattr(stands, name)

    def step(*arguments: object, **options: object) -> None:
        if after:
            original(*arguments, **options)
        os._exit(KILLED)

    setattr(stands, name, step)
