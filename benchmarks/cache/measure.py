"""One part by one contender, in this process, measured.

python -m benchmarks.cache.measure CONTENDER PART < a task as JSON
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from benchmarks.cache import http, lookups, switches
from benchmarks.cache.parts import Task
from benchmarks.cache.torn import torn
from benchmarks.contender import resident_mb

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["main", "measure"]


def main(contender: str, part: str) -> None:
    """Print the figures as JSON."""
    print(json.dumps(measure(contender, part, Task(**json.load(sys.stdin)))))


def measure(contender: str, part: str, task: Task) -> dict[str, Any]:
    """Measure once; the figures, with the versions and settings of the contender."""
    module = import_module(f"benchmarks.cache.contenders.{contender}")
    found = _MEASURES[part](module, task)
    versions = {name: version(name) for name in module.PACKAGES}
    return {"versions": versions, "settings": module.SETTINGS, **found}


def _load(module: Any, task: Task) -> dict[str, Any]:
    return _timed(module.loading(task), task)


def _precompute(module: Any, task: Task) -> dict[str, Any]:
    return _timed(module.computing(task), task)


def _timed(prepared: AbstractContextManager[Callable[[], None]], task: Task) -> dict[str, Any]:
    with prepared as load:
        started = time.perf_counter()
        load()
        wall = time.perf_counter() - started
    return {"wall_s": round(wall, 4), "rows_per_s": round(task.rows / wall), "peak_rss_mb": resident_mb("VmHWM")}


def _push(_: Any, task: Task) -> dict[str, Any]:
    """The cache that was loaded, into a server like that of redis-py's pipeline."""
    from benchmarks.cache.contenders.lakeflow import cache_of
    from lakeflow.cache.valkey import push

    cache = cache_of(task.folder)
    started = time.perf_counter()
    report = push(cache, f"valkey+unix://{task.socket}")
    wall = time.perf_counter() - started
    if report.rows != task.rows:
        raise RuntimeError(f"{report.rows} of {task.rows} rows were pushed")
    return {"wall_s": round(wall, 4), "rows_per_s": round(task.rows / wall)}


_MEASURES: dict[str, Callable[[Any, Task], dict[str, Any]]] = {
    "load": _load,
    "precompute": _precompute,
    "get": lookups.one,
    "get_many": lookups.many,
    "cold": lookups.cold,
    "push": _push,
    "http": http.measured,
    "open": switches.opened,
    "rollback": switches.rolled_back,
    "torn": torn,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
