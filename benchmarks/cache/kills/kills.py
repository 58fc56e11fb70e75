"""Publish one version after another, kill, look, go on, until there were as many kills as asked for.

python -m benchmarks cache-kills [--kills 200] [--seed 0] [--json OUT]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cache.kills.rounds import PHASES, Rounds
from benchmarks.chaos.processes import Processes
from benchmarks.report import machine

__all__ = ["run_kills"]


def run_kills(*, kills: int = 200, seed: int = 0, out: str | None = None) -> dict[str, Any]:
    """One cache in a local folder, with a writer, a collector and a reader in processes of their own.

    A phase is drawn out of those that were met least, and a random moment of it; then its process is killed. After
    every kill the cache is opened anew and read. A killed writer is started again with the same run id until it is
    done.

    Args:
        kills: How often `kill -9` has to have met one of `PHASES`.
        seed: Of all that is drawn. Moments depend on the machine, too.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: `kills`, and how many by phase (`killed`); `versions`, `looks`, the answers and rows that
        readers got; `tasks` of runs, those that kills met (`tasks_killed`) and calls for the second time and more
        (`tasks_redone`); `half_records`, as the function of that name counts them; what `Found` counts; and `clean`
        where there is none of it.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lakeflow-kills-") as folder:
        processes = Processes("benchmarks.cache.kills.work")
        rounds = Rounds(Path(folder), processes, random.Random(seed))  # noqa: S311  (when to kill: no secret)
        try:
            rounds.warm_up()
            while rounds.killed.total() < kills:
                rounds.play()
                told = f"{rounds.killed.total()} of {kills} kills, {rounds.counts['versions']} versions, {rounds.found}"
                print(told, file=sys.stderr)
            rounds.settle()
        finally:
            processes.close()
    result = {
        "kills": rounds.killed.total(),
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
        "killed": {phase: rounds.killed[phase] for phase in PHASES},
        **rounds.counts,
        **vars(rounds.found),
        "clean": rounds.found.clean,
        "machine": machine(),
    }
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return result
