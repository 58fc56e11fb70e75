"""Publish one version after another, kill, look, go on, until there were as many kills as asked for.

python -m benchmarks cache-kills [--kills 200] [--seed 0] [--store folder|s3] [--json OUT]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cache.kills.place import Place
from benchmarks.cache.kills.rounds import PHASES, Rounds
from benchmarks.cache.kills.rows import NAME
from benchmarks.chaos.processes import Processes
from benchmarks.report import machine
from lakeflow.demo.seaweed import run_seaweed

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["STORES", "play", "run_kills"]

STORES = ("folder", "s3")


def run_kills(*, kills: int = 200, seed: int = 0, store: str = "folder", out: str | None = None) -> dict[str, Any]:
    """One cache in a local folder, or on SeaweedFS, with a writer, a collector and a reader in processes of their own.

    A phase is drawn out of those that were met least, and a random moment of it; then its process is killed. After
    every kill the cache is opened anew and read. A killed writer is started again with the same run id until it is
    done.

    Args:
        kills: How often `kill -9` has to have met one of `PHASES`.
        seed: Of all that is drawn. Moments depend on the machine, too.
        store: One of `STORES`.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: `kills`, and how many by phase (`killed`); `versions`, `looks`, the answers and rows that
        readers got; `tasks` of runs, those that kills met (`tasks_killed`) and calls for the second time and more
        (`tasks_redone`); `half_records`, as the function of that name counts them; what `Found` counts; and `clean`
        where there is none of it.
    """
    with tempfile.TemporaryDirectory(prefix="lakeflow-kills-") as name, _placed(store, Path(name)) as place:
        result = play(place, Path(name) / "notes", kills, seed)
    result = {"store": store, **result, "machine": machine()}
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return result


def play(place: Place, notes: Path, kills: int, seed: int) -> dict[str, Any]:
    """As `run_kills`, of a cache at a place; `notes` is a file for what its processes note."""
    began = time.perf_counter()
    processes = Processes("benchmarks.cache.kills.work")
    rounds = Rounds(place, notes, processes, random.Random(seed))  # noqa: S311  (when to kill: no secret)
    try:
        rounds.warm_up()
        while rounds.killed.total() < kills:
            rounds.play()
            told = f"{rounds.killed.total()} of {kills} kills, {rounds.counts['versions']} versions, {rounds.found}"
            print(told, file=sys.stderr)
        rounds.settle()
    finally:
        processes.close()
    return {
        "kills": rounds.killed.total(),
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
        "killed": {phase: rounds.killed[phase] for phase in PHASES},
        **rounds.counts,
        **vars(rounds.found),
        "clean": rounds.found.clean,
    }


@contextmanager
def _placed(store: str, folder: Path) -> Generator[Place]:
    if store == "folder":
        yield Place(str(folder / "caches"))
        return
    with run_seaweed(folder / "seaweed") as server:
        yield Place(f"s3://plain/{NAME}", server.store_properties, str(folder / "machines"))
