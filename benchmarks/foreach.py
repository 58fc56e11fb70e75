"""What a task costs beyond its work: thousands of tasks that do nothing, beside the peers.

    python -m benchmarks foreach [--tasks 1000,20000] [--runs 3] [--json OUT]

And whether the driver's memory grows with their number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.foreach_engines import ENGINES
from benchmarks.foreach_tables import tiny_lake
from benchmarks.processes import python_for, run_process
from benchmarks.report import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_foreach"]

_FIGURES = ("wall_s", "task_ms", "cpu_s", "base_rss_mb", "peak_rss_mb")
# Bare Dask, which lakeflow on Dask is compared with.
_BARE = "client-map"


def run_foreach(
    *,
    tasks: Sequence[int] = (1000, 20_000),
    runs: int = 3,
    engines: Sequence[str] = tuple(ENGINES),
    out: str | None = None,
) -> dict[str, Any]:
    """Measure each engine in fresh processes, in turn.

    Args:
        tasks: How many; a round for each number.
        runs: Of each.
        engines: Names out of `ENGINES`.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has. `tasks`: by number and engine, medians of `wall_s`, `task_ms` (wall a task), `cpu_s` (of the
        driver's process), `base_rss_mb` before and `peak_rss_mb` at its highest. `vs_bare_dask`: by number, what a task
        of lakeflow on Dask takes, through what one of `Client.map` does. `kb_a_task`: by engine, how much the
        driver's memory at its highest grew from the smallest number to the largest, a task.
    """
    result: dict[str, Any] = {"machine": machine(), "runs": runs, "tasks": {}, "vs_bare_dask": {}, "kb_a_task": {}}
    for count in tasks:
        taken: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
        if any(ENGINES[name].reads for name in engines):
            tiny_lake(count)
        for _ in range(runs):
            for name, found in taken.items():
                if not (found and "error" in found[-1]):
                    asked = min(count, ENGINES[name].most or count)
                    found.append(_run(name, asked))
        result["tasks"][str(count)] = {name: _summary(found) for name, found in taken.items()}
        _print(count, result["tasks"][str(count)])
    result["vs_bare_dask"] = {count: _against_bare(of) for count, of in result["tasks"].items()}
    result["kb_a_task"] = _growth(result["tasks"])
    print("\nOn Dask, x Client.map:", result["vs_bare_dask"], "\nDriver, kB a task:", result["kb_a_task"])
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _run(name: str, tasks: int) -> dict[str, Any]:
    return run_process(python_for(name), ["benchmarks.foreach_engines", name], {"tasks": tasks})


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    good = [run for run in runs if "error" not in run]
    if not good:
        return runs[-1]
    told = {name: good[0][name] for name in ("version", "settings", "ran")}
    return {**told, **{name: median(run[name] for run in good) for name in _FIGURES}, "runs": good}


def _against_bare(engines: dict[str, Any]) -> dict[str, float]:
    bare = engines.get(_BARE, {}).get("task_ms")
    ours = {name: found["task_ms"] for name, found in engines.items() if "lakeflow-dask" in name and "wall_s" in found}
    return {name: round(task_ms / bare, 2) for name, task_ms in ours.items()} if bare else {}


def _growth(counts: dict[str, Any]) -> dict[str, float]:
    few, many = min(counts, key=int), max(counts, key=int)
    found = {}
    for name, figures in counts[many].items():
        before = counts[few].get(name, {})
        if few != many and "wall_s" in figures and "wall_s" in before:
            grown = figures["peak_rss_mb"] - before["peak_rss_mb"]
            found[name] = round(grown * 1000 / max(figures["ran"] - before["ran"], 1), 2)
    return found


def _print(count: int, engines: dict[str, Any]) -> None:
    heads = ("tasks", "wall s", "ms a task", "CPU s", "peak MB")
    print(f"\n{f'{count:,} tasks':26}" + "".join(f"{head:>11}" for head in heads))
    for name, row in engines.items():
        if "error" in row:
            print(f"  {name:24}  {row['error']}")
            continue
        cells = f"{row['ran']:>11,}{row['wall_s']:>11.2f}{row['task_ms']:>11.3f}{row['cpu_s']:>11.2f}"
        print(f"  {name:24}{cells}{row['peak_rss_mb']:>11,.0f}")
    sys.stdout.flush()
