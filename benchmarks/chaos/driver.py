"""A driver: opens the catalog, runs one foreach under a run id, and says what came of it.

Imported by the process that all others are forked from, with all that a run needs.
"""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any

import distributed  # noqa: F401
import obstore  # noqa: F401
import pyiceberg.catalog.rest
import pyiceberg.catalog.sql
import pyiceberg.io.pyarrow
import pyiceberg.table  # noqa: F401

import lakeflow as lf
from benchmarks.chaos import job

__all__ = ["SHARDS", "run_driver"]

SHARDS = 12


def run_driver(settings: dict[str, Any], answer: str) -> None:
    """Run until it is done or fails; the answer is a file of JSON."""
    os.environ["XDG_CACHE_HOME"] = settings["cache"]
    try:
        said = {"snapshots": _run(settings)}
    except lf.LakeflowError as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    except BaseException:  # noqa: BLE001  (no error of another library may come out: it is reported)
        said = {"error": "unexpected", "traceback": traceback.format_exc()}
    written = Path(answer).with_suffix(".part")
    written.write_text(json.dumps(said), encoding="utf-8")
    written.rename(answer)


def _run(settings: dict[str, Any]) -> list[int]:
    lake = lf.connect(**settings["catalog"])
    shards = lake.table(settings["source"]).scan(columns=["id"]).shards(n=SHARDS)
    tables = [lake.table(name) for name in settings["outputs"]]
    two = len(tables) > 1
    run = lf.foreach(
        shards,
        job.split_work if two else job.work,
        into=dict(zip(["even", "odd"], tables, strict=True)) if two else tables[0],
        run_id=settings["run_id"],
        engine=settings["engine"],
        progress=False,
    )
    return list(run.snapshot_ids.values()) if two else [run.snapshot_id]
