"""What is lakeflow's alone: opening a large cache, and rolling back to it."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cache.contenders.lakeflow import cache_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from benchmarks.cache.parts import Task

__all__ = ["opened", "rolled_back"]

_ROW_BYTES = 500  # of the large cache: with ten million rows 5 GB
_BATCH_ROWS = 100_000
_GETS = 1000


def opened(_: Any, task: Task) -> dict[str, Any]:
    """Open a cache of 5 GB for ten million rows: until its version is known, and until the first row is there.

    `own_mb` is memory of the reader alone after a thousand look-ups, its libraries' included: all but mapped files.
    """
    task_folder = _large(task)
    cache = cache_of(task_folder, "large")
    started = time.perf_counter()
    version = cache.version
    known = time.perf_counter()
    cache.get(0)
    first = time.perf_counter()
    for number in np.random.default_rng(task.seed).integers(0, task.rows, min(_GETS, task.rows)).tolist():
        cache.get(number)
    return {
        "open_ms": round((known - started) * 1e3, 3),
        "first_ms": round((first - started) * 1e3, 3),
        "own_mb": _own_mb(),
        "gigabytes": round(version.bytes / 1e9, 3),
    }


def rolled_back(_: Any, task: Task) -> dict[str, Any]:
    """Make the large version current again, over a small one that was published after it."""
    import pyarrow as pa

    cache = cache_of(_large(task), "large")
    large = cache.version.id
    cache.load(pa.table({"id": [1], "value": pa.array([b""], pa.binary())}), key="id")
    started = time.perf_counter()
    rolled = cache.rollback()
    wall = time.perf_counter() - started
    if rolled.id != large:
        raise RuntimeError(f"{rolled.id} is current and not {large}")
    return {"rollback_ms": round(wall * 1e3, 3), "gigabytes": round(rolled.bytes / 1e9, 3)}


def _large(task: Task) -> str:
    """The folder of the large cache, which a process of its own has loaded: its memory isn't the reader's."""
    folder = str(Path(task.folder) / "large")
    process = multiprocessing.get_context("spawn").Process(target=load_large, args=(folder, task.rows))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError("the large cache can't be loaded")
    return folder


def load_large(folder: str, rows: int) -> None:
    """Load rows of 500 bytes; a second time it is a no-op."""
    cache_of(folder, "large").load(_large_rows(rows), key="id", run_id="large")


def _large_rows(rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    random = np.random.default_rng(0)
    for start in range(0, rows, _BATCH_ROWS):
        ids = np.arange(start, min(start + _BATCH_ROWS, rows))
        offsets = np.arange(len(ids) + 1, dtype=np.int32) * _ROW_BYTES
        data = random.bytes(len(ids) * _ROW_BYTES)
        value = pa.Array.from_buffers(pa.binary(), len(ids), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
        yield pa.record_batch({"id": ids, "value": value})


def _own_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.split("RssAnon:", 1)[1].split(maxsplit=1)[0]) * 1024 / 1e6, 1)
