"""Kill, disturb, resume, check, until there were as many kills as asked for."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import lakeflow as lf
from benchmarks.chaos import job
from benchmarks.chaos.case import Case, Disturbances, Site
from benchmarks.chaos.full_disk import check_full_disk
from benchmarks.chaos.processes import Cluster, Processes
from benchmarks.chaos.proxy import run_proxy
from benchmarks.report import machine
from lakeflow.demo.seaweed import run_seaweed

__all__ = ["run_chaos"]

_FILES, _ROWS, _WORKERS = 12, 500, 2
_SOURCE = "chaos.source"


def run_chaos(*, kills: int = 50, seed: int = 0, out: str | None = None) -> dict[str, Any]:
    """Runs on a Dask cluster of processes, a real S3 server and a REST catalog, disturbed at random.

    Args:
        kills: How often `kill -9` has to have met a driver, a worker or the scheduler.
        seed: Of all that is drawn. Moments depend on the machine, too.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: `kills`, `runs`, what else `disturbed` them, and the faults that were found:
        `duplicates`, `lost`, `corrupt`, `extra_snapshots`, `orphans_unrecorded`, `orphans_left`, `stuck`,
        `unexpected`; `clean` where there is none.
    """
    began, draw = time.perf_counter(), random.Random(seed)  # noqa: S311  (which faults: no secret)
    with ExitStack() as stack:
        site = _site(stack)
        for number in range(2):  # the first one also warms up
            started = time.perf_counter()
            Case(site, number, Disturbances(), draw).play()
            site.span = time.perf_counter() - started
        runs = 2
        while site.counts["kills"] < kills:
            runs += 1
            Case(site, runs, Disturbances.drawn(draw), draw).play()
            print(f"{site.counts['kills']} of {kills} kills, {runs} runs, {site.found}", file=sys.stderr)
        full_disk = check_full_disk(site, draw)
    counts = dict(site.counts)
    result = {
        "kills": counts.pop("kills", 0),
        "seed": seed,
        "runs": runs,
        "seconds": round(time.perf_counter() - began, 1),
        "disturbed": counts,
        "full_disk": full_disk,
        **vars(site.found),
        "clean": site.found.clean,
        "machine": machine(),
    }
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return result


def _site(stack: ExitStack) -> Site:
    from pyiceberg.catalog import load_catalog

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lakeflow-chaos-")))
    server = stack.enter_context(run_seaweed(folder / "seaweed"))
    proxy = stack.enter_context(run_proxy(server.catalog_uri))
    processes = Processes("benchmarks.chaos.driver")
    cluster = Cluster(processes, _WORKERS)
    stack.callback(cluster.close)
    stack.callback(processes.close)
    lake = lf.connect(**server.catalog_properties)
    lake.create_table(_SOURCE, job.source_rows(0, 1).schema)
    for index in range(_FILES):
        lake.table(_SOURCE).append(job.source_rows(index * _ROWS, _ROWS))
    return Site(
        processes=processes,
        cluster=cluster,
        catalog=load_catalog("chaos", **server.catalog_properties),
        lake=lake,
        proxy=proxy,
        properties={**server.catalog_properties, "uri": proxy.uri},
        source=_SOURCE,
        ids=np.arange(_FILES * _ROWS, dtype=np.int64),
        folder=folder,
        span=1.0,
        counts=Counter(),
    )
