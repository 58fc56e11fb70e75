"""Scans of a store with faults: each gives the exact rows, and how much longer it takes than without faults."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.data import dataset
from benchmarks.report import machine
from benchmarks.s3like import S3, S3_FAULTS
from benchmarks.stores import run_store, table_name
from benchmarks.workloads import SCALES, WORKLOADS

if TYPE_CHECKING:
    import pyarrow as pa

    from benchmarks.s3like import S3Like
    from benchmarks.workloads import Task
    from lakeflow import Table

__all__ = ["content_hash", "run_faults"]

# A scan without faults after so many with them: what else the machine does meets both.
_CLEAN_EVERY = 5


def run_faults(
    *, scans: int = 100, workload: str = "wide", scale: str = "full", memory: str | None = None, out: str | None = None
) -> dict[str, Any]:
    """Read one table again and again, each time with other faults.

    Args:
        scans: How often with faults; a fifth as often without.
        workload: A name out of `WORKLOADS`: which table, which columns and rows.
        scale: A name out of `SCALES`.
        memory: The budget of each scan, such as `"64 MiB"`.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: seconds of scans `clean` and `faulty`, `exact` of `scans`, sums of the reports'
        `retries`, `hedges` and `throttled`, and the faults that the server counted.
    """
    import lakeflow as lf

    chosen, size = WORKLOADS[workload], SCALES[scale]
    folder = dataset(chosen.dataset, size)
    with run_store(S3.name, [folder]) as store:
        assert store.server is not None  # noqa: S101  (the profile is the S3-like server's)
        task = chosen.task(size, store.properties, table_name(folder))
        # Each scan asks for footers, too.
        table = lf.connect(**store.properties, **{"lakeflow.metadata-cache.folder": "none"}).table(task.table)
        runs = [_scan(table, task, memory, store.server, None) for _ in range(2)][1:]  # the first one warms up
        for seed in range(scans):
            if seed % _CLEAN_EVERY == 0:
                runs.append(_scan(table, task, memory, store.server, None))
            runs.append(_scan(table, task, memory, store.server, seed))
            print(f"scan {seed + 1} of {scans}: {runs[-1]['seconds']:.2f} s", file=sys.stderr)
    result = {"workload": workload, "scale": scale, "memory": memory, "machine": machine(), **_summary(runs)}
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _print(result)
    return result


def _scan(table: Table, task: Task, memory: str | None, server: S3Like, seed: int | None) -> dict[str, Any]:
    """One scan, planned anew; without faults where there is no seed."""
    server.use(S3 if seed is None else replace(S3_FAULTS, seed=seed))
    server.reset()
    scan = table.scan(columns=task.columns, where=task.condition)
    began = time.perf_counter()
    read = scan.read(memory=memory)
    seconds = time.perf_counter() - began
    report, found = scan.report(), read.to_arrow()
    return {
        "seed": seed,
        "seconds": round(seconds, 3),
        "rows": found.num_rows,
        "hash": content_hash(found),
        "faults": server.counts()["faults"],
        **{name: getattr(report, name) for name in ("requests", "retries", "hedges", "throttled")},
    }


def content_hash(table: pa.Table) -> str:
    """A hash of all values in order, whatever batches they came in."""
    found = blake2b(digest_size=16)
    for column in table.columns:
        # Put together anew: offsets, slices and the bits behind the end are gone from its buffers.
        for buffer in column.combine_chunks().take(_all(len(column))).buffers():
            found.update(buffer if buffer is not None else b"no nulls")
    return found.hexdigest()


def _all(rows: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.arange(rows))


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    clean = [run["seconds"] for run in runs if run["seed"] is None]
    faulty = [run for run in runs if run["seed"] is not None]
    seconds = sorted(run["seconds"] for run in faulty)
    injected = {kind: sum(run["faults"].get(kind, 0) for run in faulty) for kind in ("slow_down", "cut", "stall")}
    return {
        "scans": len(faulty),
        "exact": sum(run["hash"] == runs[0]["hash"] for run in faulty),
        "clean": {"median_s": median(clean), "max_s": max(clean)},
        "faulty": {
            "median_s": median(seconds),
            "p90_s": seconds[int(len(seconds) * 0.9)],
            "max_s": seconds[-1],
            "vs_clean_median": round(median(seconds) / median(clean), 2),
            "vs_clean_max": round(seconds[-1] / median(clean), 2),
            "within_twice": sum(each <= 2 * median(clean) for each in seconds),
        },
        "injected": injected,
        **{name: sum(run[name] for run in faulty) for name in ("requests", "retries", "hedges", "throttled")},
        "runs": runs,
    }


def _print(result: dict[str, Any]) -> None:
    clean, faulty = result["clean"], result["faulty"]
    print(f"exact: {result['exact']} of {result['scans']} scans")
    print(f"clean:  median {clean['median_s']:.2f} s, longest {clean['max_s']:.2f} s")
    print(
        f"faulty: median {faulty['median_s']:.2f} s ({faulty['vs_clean_median']} x), "
        f"longest {faulty['max_s']:.2f} s ({faulty['vs_clean_max']} x), "
        f"{faulty['within_twice']} within twice the clean median"
    )
    if any(result["injected"].values()):
        print(f"injected: {', '.join(f'{count} {kind}' for kind, count in result['injected'].items())}")
    else:
        print("injected: nothing, so this tells nothing about faults; more scans meet some")
    print(", ".join(f"{name}: {result[name]}" for name in ("requests", "retries", "hedges", "throttled")))
