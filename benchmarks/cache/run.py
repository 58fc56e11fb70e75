"""Runs contenders in fresh processes, in turn, and puts their figures together.

python -m benchmarks cache [--rows 10000000] [--runs 3] [--contenders A,B] [--parts A,B] [--json OUT]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cache.contenders import CONTENDERS
from benchmarks.cache.figures import print_figures, ratios, summary
from benchmarks.cache.parts import PARTS, Task
from benchmarks.cache.rows import rows_file
from benchmarks.cache.valkey_server import run_valkey
from benchmarks.home import home
from benchmarks.processes import run_process
from benchmarks.report import machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["run_cache"]

_ROWS = 10_000_000


def run_cache(
    *,
    rows: int = _ROWS,
    runs: int = 3,
    contenders: Sequence[str] = CONTENDERS,
    parts: Sequence[str] = tuple(PARTS),
    out: str | None = None,
) -> dict[str, Any]:
    """Measure each part of each contender that has it, in fresh processes, the contenders in turn.

    Args:
        rows: How many are loaded; `open` and `rollback` have a cache of 500 bytes a row.
        runs: Of each; figures are medians.
        contenders: Names out of `CONTENDERS`.
        parts: Names out of `PARTS`. What is looked up is loaded in any case.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: lakeflow's figures and ratios by the names of `figures.ratios`, null where one wasn't
        measured; and `contenders`, by name and part all figures of every run.
    """
    result: dict[str, Any] = {"machine": machine(), "rows": rows, "runs": runs, "load_average": [os.getloadavg()[0]]}
    file = str(rows_file(rows))
    taken: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in contenders}
    for number in range(runs):
        for name, found in taken.items():
            _one(name, parts, found, file, rows, number)
        result["load_average"].append(os.getloadavg()[0])
        result["contenders"] = {name: summary(found) for name, found in taken.items()}
        result |= ratios(result["contenders"])
        if out:  # after each run: what was measured isn't lost
            Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_figures(result)
    return result


def _one(
    name: str, parts: Sequence[str], taken: dict[str, list[dict[str, Any]]], file: str, rows: int, number: int
) -> None:
    """One run of a contender; a part that failed has `error` last, and isn't measured again."""
    chosen = [part for part, each in PARTS.items() if name in each.of and part in parts]
    needed = chosen if all(PARTS[part].alone for part in chosen) else list(dict.fromkeys(["load", *chosen]))
    with _stores(name, chosen, file, rows, number) as task:
        for part in needed:
            if "error" in taken.get(part, [{}])[-1]:
                continue
            found = run_process(sys.executable, ["benchmarks.cache.measure", name, part], asdict(task))
            taken.setdefault(part, []).append(found)
            told = found.get("error") or ", ".join(f"{figure} {found[figure]:,}" for figure in PARTS[part].figures)
            print(f"run {number + 1} {name} {part}: {told}", file=sys.stderr)
            if part == "load" and "error" in found:
                return


@contextmanager
def _stores(name: str, parts: Sequence[str], file: str, rows: int, number: int) -> Iterator[Task]:
    """A folder on disk, and a server where one is needed; both are gone afterwards."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=home() / "cache", prefix=f"{name}-"))
        task = Task(file, rows, folder, seed=number)
        if name == "valkey" or "push" in parts:
            task = Task(file, rows, folder, stack.enter_context(run_valkey()), number)
        yield task
