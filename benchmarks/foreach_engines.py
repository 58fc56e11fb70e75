"""One way to run many tasks that do nothing, in this process, measured.

    python -m benchmarks.foreach_engines NAME < {"tasks": 1000} as JSON

A Dask cluster, of a process for each core, is started before the clock, and each engine runs a few tasks before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.contender import resident_mb
from benchmarks.dask_processes import run_dask
from benchmarks.foreach_tables import TINY, spare_lake, tiny_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["ENGINES", "Engine", "main", "measure"]

_CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Engine:
    """How tasks are run."""

    package: str
    """The distribution whose version is told."""
    settings: str
    opened: Callable[[], AbstractContextManager[Callable[[int], Callable[[], int]]]]
    """Opens what isn't timed; its value makes, for a number of tasks, the call that is: it tells how many ran."""
    reads: bool = False
    """Whether its tasks are shards of a table."""
    most: int | None = None
    """Tasks that it can be asked for in reasonable time."""
    warm_up: int = 20
    """Tasks that it runs before."""


def main(name: str) -> None:
    """Print the figures as JSON."""
    print(json.dumps(measure(name, json.load(sys.stdin)["tasks"])))


def measure(name: str, tasks: int) -> dict[str, Any]:
    """Run once, after a few tasks that aren't timed.

    Raises:
        RuntimeError: some tasks didn't run.
    """
    engine = ENGINES[name]
    with engine.opened() as prepare:
        prepare(min(engine.warm_up, tasks))()
        run = prepare(tasks)
        base, cpu, started = resident_mb("VmRSS"), time.process_time(), time.perf_counter()
        ran = run()
        wall = time.perf_counter() - started
        cpu_s, peak = time.process_time() - cpu, resident_mb("VmHWM")
    if ran != tasks:
        raise RuntimeError(f"{ran} of {tasks} tasks ran")
    return {
        "version": version(engine.package),
        "settings": engine.settings,
        "ran": ran,
        "wall_s": round(wall, 4),
        "task_ms": round(wall / tasks * 1000, 4),
        "cpu_s": round(cpu_s, 4),
        "base_rss_mb": base,
        "peak_rss_mb": peak,
    }


def nothing(item: Any) -> int:  # noqa: ARG001  (a task has one)
    """What each task does."""
    return 1


@contextmanager
def _items(engine: Any) -> Iterator[Any]:
    import lakeflow as lf

    yield lambda tasks: lambda: sum(lf.foreach(range(tasks), nothing, engine=engine, progress=False).results)


@contextmanager
def _shards(engine: Any) -> Iterator[Any]:
    import lakeflow as lf

    def prepare(tasks: int) -> Callable[[], int]:
        shards = tiny_lake(tasks).table(TINY).scan().shards(n=tasks)
        return lambda: sum(lf.foreach(shards, nothing, engine=engine, progress=False).results)

    yield prepare


@contextmanager
def _into(engine: Any) -> Iterator[Any]:
    import lakeflow as lf

    with spare_lake() as lake:

        def prepare(tasks: int) -> Callable[[], int]:
            tiny = tiny_lake(tasks).table(TINY)
            into = lake.create_table(f"bench.t{uuid4().hex}", tiny.schema)
            shards = tiny.scan().shards(n=tasks)
            return lambda: int(lf.foreach(shards, _same, into=into, engine=engine, progress=False).ran)

        yield prepare


def _same(rows: Any) -> Any:
    return rows


@contextmanager
def _dask(of: Callable[[Any], AbstractContextManager[Any]]) -> Iterator[Any]:
    from distributed import Client

    with run_dask(_CORES) as address, Client(address, set_as_default=False) as client:
        client.wait_for_workers(_CORES)
        with of(client) as prepare:
            yield prepare


@contextmanager
def _client_map(client: Any) -> Iterator[Any]:
    yield lambda tasks: lambda: sum(client.gather(client.map(nothing, range(tasks), pure=False)))


@contextmanager
def _bag(client: Any) -> Iterator[Any]:
    import dask.bag

    def prepare(tasks: int) -> Callable[[], int]:
        bag = dask.bag.from_sequence(range(tasks), npartitions=tasks).map(nothing)
        return lambda: sum(client.gather(client.compute(bag)))

    yield prepare


@contextmanager
def _pool() -> Iterator[Any]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_CORES) as pool:
        yield lambda tasks: lambda: sum(pool.map(nothing, range(tasks)))


@contextmanager
def _ray() -> Iterator[Any]:
    import ray

    ray.init(num_cpus=_CORES, include_dashboard=False, log_to_driver=False, logging_level="error")
    remote = ray.remote(nothing)
    yield lambda tasks: lambda: sum(ray.get([remote.remote(item) for item in range(tasks)]))
    ray.shutdown()


@contextmanager
def _metaflow() -> Iterator[Any]:
    from benchmarks.foreach_flow import run_flow

    yield lambda tasks: lambda: run_flow(tasks, _CORES)


ENGINES: dict[str, Engine] = {
    "lakeflow-threads": Engine("lakeflow", "foreach over a range, values come back", lambda: _items("threads")),
    "lakeflow-threads-shards": Engine(
        "lakeflow", "foreach over shards of one row", lambda: _shards("threads"), reads=True
    ),
    "lakeflow-threads-table": Engine(
        "lakeflow", "the same into a table, with its commit", lambda: _into("threads"), reads=True
    ),
    "pool": Engine("lakeflow", "concurrent.futures.ThreadPoolExecutor.map", _pool),
    "lakeflow-dask": Engine("lakeflow", "foreach over a range, values come back", lambda: _dask(_items)),
    "lakeflow-dask-shards": Engine("lakeflow", "foreach over shards of one row", lambda: _dask(_shards), reads=True),
    "lakeflow-dask-table": Engine(
        "lakeflow", "the same into a table, with its commit", lambda: _dask(_into), reads=True
    ),
    "client-map": Engine("distributed", "Client.map and gather", lambda: _dask(_client_map)),
    "dask-bag": Engine("dask", "a partition an item, map, compute", lambda: _dask(_bag)),
    "ray": Engine("ray", "a remote function, one get for all", _ray),
    "metaflow": Engine("metaflow", "foreach of a local run; a process a task", _metaflow, most=30, warm_up=1),
}
"""By name; those of lakeflow first name the engine beneath."""


if __name__ == "__main__":
    main(sys.argv[1])
