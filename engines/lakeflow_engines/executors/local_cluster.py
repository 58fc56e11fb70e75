"""Worker processes on this machine, under a Dask scheduler in this process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lakeflow_engines.shared import sweep_copies
from lakeflow_io.budget import available_cpus, memory_limit
from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["local_cluster"]

# One thread a process, in every library that would start more. Dask's own default also sets
# MALLOC_TRIM_THRESHOLD_, which makes glibc give memory back after each large array and fault it in
# again for the next: functions over arrays spend most of their time in the kernel then.
_WORKER_ENVIRONMENT = {
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}
# Dask puts these into the environment of this process, for workers to inherit, and the last two beside them.
_INHERITED = (*_WORKER_ENVIRONMENT, "PYTHONHASHSEED", "__DASK_PARENT_PID")
_CONFIGURATION = {
    "distributed.nanny.pre-spawn-environ": _WORKER_ENVIRONMENT,
    "distributed.worker.preload": ["lakeflow_engines.executors.worker_setup"],
    # A worker's death is told at once: what comes next is the scheduler's of the run.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    # Results are kilobytes, so there is nothing to spill. A worker that is paused for memory that isn't a result's
    # is never resumed; one that is ended by its nanny starts anew.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # After that a cluster closes a worker that isn't back yet, and never starts another one; a busy machine needs
    # longer than the 15 s that are usual.
    "distributed.deploy.lost-worker-timeout": "1 day",
    # What Dask watches itself with (each thread's stack every 10 ms, the event loops every 20 ms) takes an eighth of a
    # core from two idle workers and their scheduler; so it is a fiftieth. Runs have a report of their own.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    # Nothing leaves this machine, whatever another cluster's certificates are for.
    "distributed.comm.require-encryption": False,
}


@contextmanager
def local_cluster(workers: int | None = None) -> Generator[Any]:
    """A `distributed.Client` of a new cluster of one-thread processes on loopback.

    Args:
        workers: How many processes; default one a core.

    Raises:
        ConfigError: distributed isn't installed, or the main script is unguarded: workers don't start, and this may
            be one of them, which runs it again.
    """
    try:
        import distributed
        from dask.config import set as configured
    except ImportError:
        raise ConfigError.missing_extra("Dask", "dask", "The Dask engine") from None
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConfigError(
            "A worker process tried to start workers of its own: it has run the main script again.",
            'put the script\'s code under `if __name__ == "__main__":`.',
        )
    count = workers or available_cpus()
    with (
        _environment.kept(),
        _quiet("distributed"),
        configured(_CONFIGURATION),
        tempfile.TemporaryDirectory(prefix="lakeflow-dask-") as folder,
        _started(count, folder) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        yield client
    sweep_copies()  # nobody maps what only these workers did


def _started(workers: int, folder: str) -> Any:
    """Start a cluster that keeps its files in `folder`.

    Raises:
        ConfigError: the workers end before they can say that they are there.
    """
    import distributed

    try:
        return distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=memory_limit() // workers,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # a free port: several clusters may run at once
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"The worker processes of this machine don't start: {error}",
            'each of them imports the main script again: put what it runs under `if __name__ == "__main__":`.',
        ) from error


class _Environment:
    """This process's own, kept while there are clusters: its Polars isn't to have one thread as workers have."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clusters = 0
        self._before: dict[str, str | None] = {}

    @contextmanager
    def kept(self) -> Generator[None]:
        """Put it back after the last cluster."""
        with self._lock:
            if not self._clusters:
                self._before = {name: os.environ.get(name) for name in _INHERITED}
            self._clusters += 1
        try:
            yield
        finally:
            with self._lock:
                self._clusters -= 1
                if not self._clusters:
                    self._put_back()

    def _put_back(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_environment = _Environment()


@contextmanager
def _quiet(name: str) -> Generator[None]:
    """Keep a library's accounts of its own start and end out of the caller's log."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
