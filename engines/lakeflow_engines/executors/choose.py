"""`engine=` in words, as an address or as a client -> an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lakeflow_engines.executors.serial import SerialExecutor
from lakeflow_engines.executors.threads import ThreadExecutor
from lakeflow_io.budget import available_cpus
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from lakeflow_engines.executors.seam import Executor

__all__ = ["check_engine", "open_executor"]

_SEAM = ("name", "slots", "memory", "submit", "next", "cancel", "kill", "close")


def check_engine(engine: Any, slots: int | None = None) -> None:
    """Refuse what `open_executor` would refuse, without opening anything.

    Raises:
        InputError: the engine isn't known, or `slots` isn't positive.
    """
    if slots is not None and (not isinstance(slots, int) or slots < 1):
        raise InputError(f"slots={slots!r} runs nothing.", "give a positive whole number.")
    if engine in ("serial", "threads", "dask") or _is_cluster(engine):
        return
    if not all(hasattr(engine, name) for name in _SEAM):
        raise InputError(
            f"No engine {engine!r}.",
            'use "serial", "threads", "dask", a scheduler\'s address or a distributed.Client.',
        )


def _is_cluster(engine: Any) -> bool:
    """The address of a scheduler, or a client of one."""
    return (isinstance(engine, str) and "://" in engine) or type(engine).__module__.startswith("distributed")


def open_executor(engine: Any = "threads", slots: int | None = None) -> Executor:
    """Open an executor.

    Args:
        engine: `"serial"`, `"threads"`, `"dask"` (worker processes on this machine), a scheduler's
            address such as `"tcp://10.0.0.1:8786"` or `"tls://..."` (with the certificates of Dask's own
            configuration), a `distributed.Client` (which may have a `distributed.Security` of its own), or an
            Executor, which is closed when the run ends.
        slots: Calls at one time, where this call decides it; default one a core.

    Raises:
        InputError: the engine isn't known.
        ConfigError: the engine's package isn't installed.
        RunError: the scheduler can't be reached.
    """
    check_engine(engine, slots)
    count = slots or available_cpus()
    if engine == "serial":
        return SerialExecutor()
    if engine == "threads":
        return ThreadExecutor(count)
    if engine == "dask" or _is_cluster(engine):
        from lakeflow_engines.executors.dask import DaskExecutor

        return DaskExecutor(None if engine == "dask" else engine, count)
    return cast("Executor", engine)
