"""Planning alone: manifests of any number of files -> the files to read, beside the peers.

python -m benchmarks plan [--files 50000,500000] [--json OUT]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.plan_tables import plan_table
from benchmarks.planner import FILTERS, PLANNERS
from benchmarks.processes import python_for, run_process
from benchmarks.report import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_plan"]

_FIGURES = ("cold_s", "cold_cpu_s", "warm_s", "peak_bytes_per_file", "each_s", "found")


def run_plan(*, files: Sequence[int] = (50_000, 500_000), runs: int = 3, out: str | None = None) -> dict[str, Any]:
    """Measure each planner in fresh processes, in turn.

    Args:
        files: Data files of the tables.
        runs: Of each.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has.
    """
    result: dict[str, Any] = {"machine": machine(), "runs": runs, "plans": {}}
    for count in files:
        plan_table(count)
        for where in (None, *FILTERS):
            name = f"{count} files, {where or 'all'}"
            taken: dict[str, list[dict[str, Any]]] = {planner: [] for planner in PLANNERS}
            for _ in range(runs):
                for planner, found in taken.items():
                    if found and "error" in found[-1]:
                        continue
                    task = {"files": count, "where": where}
                    found.append(run_process(python_for(planner), ["benchmarks.planner", planner], task))
            result["plans"][name] = {planner: _summary(found) for planner, found in taken.items()}
            _print(name, result["plans"][name])
            if out:
                Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    good = [run for run in runs if "error" not in run]
    if not good:
        return runs[-1]
    told = {name: good[0][name] for name in ("version", "settings")}
    return {**told, **{name: median(run[name] for run in good) for name in _FIGURES}}


def _print(name: str, planners: dict[str, dict[str, Any]]) -> None:
    heads = ("cold s", "x ours", "CPU s", "warm s", "x ours", "B a file", "each s", "found")
    print(f"\n{name:28}" + "".join(f"{head:>10}" for head in heads))
    ours = planners["lakeflow"]
    for planner, row in planners.items():
        if "error" in row or "error" in ours:
            print(f"  {planner:26}  {row.get('error', '')}")
            continue
        cold, warm = row["cold_s"] / ours["cold_s"], row["warm_s"] / ours["warm_s"]
        cells = f"{row['cold_s']:>10.3f}{cold:>10.1f}{row['cold_cpu_s']:>10.2f}{row['warm_s']:>10.3f}{warm:>10.1f}"
        rest = f"{row['peak_bytes_per_file']:>10,.0f}{row['each_s']:>10.2f}{row['found']:>10,.0f}"
        print(f"  {planner:26}{cells}{rest}")
    sys.stdout.flush()
