"""Reading tables from object storage into Arrow: lakeflow beside its peers, workload by workload."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import CONTENDERS
from benchmarks.data import dataset
from benchmarks.processes import python_for, run_process
from benchmarks.report import machine, print_table, summary
from benchmarks.stores import run_store, table_name
from benchmarks.tables import truth
from benchmarks.workloads import SCALES, WARM_DATASET, WORKLOADS, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.stores import Store
    from benchmarks.tables import Truth

__all__ = ["run"]

LIMIT = "limit"
"""Runs like a contender, in turn with them."""


def run(
    *,
    profile: str = "s3",
    workloads: Sequence[str] = tuple(WORKLOADS),
    contenders: Sequence[str] = CONTENDERS,
    runs: int = 5,
    warm_ups: int = 1,
    scale: str = "full",
    out: str | None = None,
) -> dict[str, Any]:
    """Measure each contender on each workload in fresh processes, in turn.

    Args:
        profile: `"loopback"` (SeaweedFS), or the name of one of the S3-like server's profiles.
        workloads: Names out of `WORKLOADS`.
        contenders: Names out of `CONTENDERS`.
        runs: Counted runs of each contender.
        warm_ups: Runs before them that aren't counted.
        scale: A name out of `SCALES`.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has.
    """
    size = SCALES[scale]
    chosen = [WORKLOADS[name] for name in workloads]
    folders = {name: dataset(name, size) for name in {WARM_DATASET, *(each.dataset for each in chosen)}}
    truths = {each.name: truth(each, size, folders[each.dataset]) for each in chosen}
    result: dict[str, Any] = {
        "profile": profile,
        "scale": scale,
        "runs": runs,
        "machine": machine(),
        "workloads": {},
    }
    with run_store(profile, folders.values()) as store:
        for workload in chosen:
            table = table_name(folders[workload.dataset])
            task = workload.task(size, store.properties, table, store.control_port)
            taken = _rounds(workload.name, task, contenders, range(-warm_ups, runs), truths[workload.name], store)
            result["workloads"][workload.name] = summary(taken, store)
            if out:  # after each workload: what was measured isn't lost
                Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_table(result)
    return result


def _rounds(
    workload: str, task: Task, contenders: Sequence[str], rounds: range, right: Truth, store: Store
) -> dict[str, list[dict[str, Any]]]:
    """Each contender's runs from round 0 on; one that failed has `error` last, and isn't run again.

    In a round all meet the same luck, in each round another one.
    """
    names = [*contenders, *([LIMIT] if "lakeflow" in contenders else [])]
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    failed: set[str] = set()
    for number in rounds:
        store.begin_round(number)
        for name in names:
            if name in failed:
                continue
            found = _one(name, task, right)
            told = found.get("error") or (f"{found['wall_s']:.2f} s" if name != LIMIT else "measured")
            print(f"{workload} {f'run {number + 1}' if number >= 0 else 'warm-up'} {name}: {told}", file=sys.stderr)
            if "error" in found:
                failed.add(name)
            if "error" in found or number >= 0:
                taken[name].append(found)
    return taken


def _one(name: str, task: Task, right: Truth) -> dict[str, Any]:
    if name == LIMIT:
        return run_process(sys.executable, ["benchmarks.limit"], asdict(task))
    found = run_process(python_for(name), ["benchmarks.contender", name], asdict(task))
    if "error" not in found and (found["rows"], found["checksum"]) != (right.rows, right.checksum):
        wanted = f"{right.rows} rows with checksum {right.checksum}"
        return {"error": f"read {found['rows']} rows with checksum {found['checksum']} rather than {wanted}"}
    return found
