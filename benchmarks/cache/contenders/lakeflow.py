"""lakeflow's cache, loaded from memory, or by tasks of a foreach in two worker processes on Dask."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from benchmarks.cache.rows import mapped
from benchmarks.dask_processes import run_dask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    import lakeflow as lf
    from benchmarks.cache.parts import Task
    from lakeflow.cache.files.layout import Layout

__all__ = [
    "PACKAGES",
    "SETTINGS",
    "cache_of",
    "computing",
    "loading",
    "loading_as",
    "publishing",
    "reading",
    "tagged_reading",
]

PACKAGES = ("lakeflow", "pyarrow")
SETTINGS = "Cache.load, or a foreach over eight parts in two Dask workers; every file fsynced, a sample read back"
_WORKERS = 2
_PARTS = 8


def cache_of(folder: str, name: str = "bench", layout: Layout = "columns") -> lf.Cache:
    """The cache of a folder."""
    import lakeflow as lf

    return lf.Cache(name, folder, layout=layout)


def _part(item: dict[str, Any]) -> pa.Table:
    """A task: rows that are in this process's memory."""
    return mapped(item["file"]).slice(item["start"], item["end"] - item["start"])


def loading(task: Task) -> AbstractContextManager[Callable[[], None]]:
    """Columns, which is the default."""
    return loading_as(task, "columns")


@contextmanager
def loading_as(task: Task, layout: Layout) -> Iterator[Callable[[], None]]:
    """The rows are in memory, and some were loaded into another cache."""
    rows = mapped(task.rows_file)

    def load(name: str, rows: pa.Table) -> None:
        cache_of(task.folder, name, layout).load(rows, key="key")

    load("warm", rows.slice(0, 1000))
    yield lambda: load("bench", rows)


@contextmanager
def computing(task: Task) -> Iterator[Callable[[], None]]:
    """The cluster is there, each worker has the rows in memory, and has run a task."""
    from distributed import Client

    import lakeflow as lf

    with run_dask(_WORKERS) as address, Client(address, set_as_default=False) as client:
        client.wait_for_workers(_WORKERS)
        client.run(mapped, task.rows_file)

        def load(name: str, rows: int) -> None:
            bounds = [rows * number // _PARTS for number in range(_PARTS + 1)]
            items = [{"file": task.rows_file, "start": start, "end": end} for start, end in pairwise(bounds)]
            sink = cache_of(task.folder, name).sink("key")
            lf.foreach(items, _part, into=sink, engine=client, progress=False)

        load("warm", min(task.rows, 1000))
        yield lambda: load("computed", task.rows)


class _Reader:
    def __init__(self, folder: str) -> None:
        self._cache = cache_of(folder)
        self.get = self._cache.get

    def get_many(self, keys: list[str]) -> pa.Table:
        return self._cache.get_many(keys)


@contextmanager
def reading(task: Task) -> Iterator[_Reader]:
    """Opened by its first look-up."""
    yield _Reader(task.folder)


@contextmanager
def publishing(task: Task) -> Iterator[Callable[[pa.Table], Any]]:
    """What publishes a version of a small cache."""
    cache = cache_of(task.folder, "tagged")
    yield lambda rows: cache.load(rows, key="id")


@contextmanager
def tagged_reading(task: Task) -> Iterator[Callable[[NDArray[np.int64]], pa.Table]]:
    """What looks rows of it up."""
    yield cache_of(task.folder, "tagged").get_many
