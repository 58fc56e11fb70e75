"""Look-ups in the process: one key, a thousand, and both after the page cache was dropped."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cache.rows import COLUMNS, key_of, mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.cache.parts import Task

__all__ = ["MANY", "asked_keys", "cold", "many", "one", "percentile"]

MANY = 1000
"""Keys of one request for many."""
_WARM_UPS = 100_000  # as many keys touch nearly every page of some hundred megabytes, so that few faults are left
_GETS = 50_000
_REQUESTS = 300
_COLD_GETS = 1000
_DROP = Path("/proc/sys/vm/drop_caches")


def one(module: Any, task: Task) -> dict[str, Any]:
    """One key at a time, ten fields to a dict; microseconds of each call."""
    keys = asked_keys(task, min(_WARM_UPS, 10 * task.rows))
    with module.reading(task) as reader:
        for key in keys:
            reader.get(key)
        _check(task, reader.get)
        taken = _timed(reader.get, asked_keys(task, min(_GETS, 10 * task.rows), after=1))
    return {"p50_us": percentile(taken, 50, 1e3), "p99_us": percentile(taken, 99, 1e3), "gets": len(taken)}


def many(module: Any, task: Task) -> dict[str, Any]:
    """A thousand keys at a time; milliseconds of each request."""
    size = min(MANY, task.rows)
    with module.reading(task) as reader:
        for request in _requests(task, size, min(_REQUESTS, task.rows), 0):
            reader.get_many(request)
        taken = _timed(reader.get_many, _requests(task, size, min(_REQUESTS, task.rows), 1))
    return {"p50_ms": percentile(taken, 50, 1e6), "p99_ms": percentile(taken, 99, 1e6), "keys": size}


def cold(module: Any, task: Task) -> dict[str, Any]:
    """As `one` and `many`, with nothing of the store's files in memory at the start: what is touched is read."""
    keys = asked_keys(task, min(_COLD_GETS, task.rows))
    size = min(MANY, task.rows)
    request = next(iter(_requests(task, size, 1, 2)))
    how = _drop(Path(task.folder))
    with module.reading(task) as reader:
        reader.get(keys[0])
        taken = _timed(reader.get, keys[1:])
    _drop(Path(task.folder))
    with module.reading(task) as reader:
        reader.get(keys[0])
        many_ns = _timed(reader.get_many, [request])[0]
    return {
        "p50_us": percentile(taken, 50, 1e3),
        "p99_us": percentile(taken, 99, 1e3),
        "many_ms": round(many_ns / 1e6, 3),
        "dropped_by": how,
    }


def asked_keys(task: Task, count: int, *, after: int = 0) -> list[str]:
    """Random keys of the rows, other ones for each `after`."""
    random = np.random.default_rng([task.seed, after])
    return [key_of(number) for number in random.integers(0, task.rows, count).tolist()]


def percentile(taken: Sequence[int], percent: int, unit: float) -> float:
    """A percentile of nanoseconds, in another unit."""
    return round(float(np.percentile(taken, percent)) / unit, 3)


def _requests(task: Task, size: int, count: int, after: int) -> list[list[str]]:
    keys = asked_keys(task, size * count, after=after)
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _timed(call: Callable[[Any], Any], arguments: Sequence[Any]) -> list[int]:
    clock, taken = time.perf_counter_ns, []
    for argument in arguments:
        started = clock()
        call(argument)
        taken.append(clock() - started)
    return taken


def _check(task: Task, get: Callable[[str], dict[str, Any] | None]) -> None:
    """Compare some rows with those that were loaded.

    Raises:
        RuntimeError: one differs.
    """
    rows = mapped(task.rows_file)
    for number in {0, task.rows // 2, task.rows - 1}:
        loaded = rows.slice(number, 1).to_pylist()[0]
        found = get(loaded["key"]) or {}
        if any(found.get(name) != loaded[name] for name in COLUMNS):
            raise RuntimeError(f"the row of {loaded['key']} is {found} and not {loaded}")


def _drop(folder: Path) -> str:
    """Drop a folder's files from the page cache; all of it where this process may. Returns how."""
    os.sync()
    if os.access(_DROP, os.W_OK):
        try:
            _DROP.write_text("3", encoding="ascii")
        except OSError:  # a container's root may look like one that may
            pass
        else:
            return "drop_caches"
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return "posix_fadvise"
