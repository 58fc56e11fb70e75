"""A call on its way to a process that somebody else has set up, which may have another lakeflow or none.

Dask makes objects of a task as soon as its message comes. A worker that hasn't the task's module
fails at that: not the task, the worker, which closes, and the task goes to the next one. So what
Dask is given is a file in memory, and a task that unpickles it: whatever is missing is then the
task's failure. The scheduler, which looks at tasks too, needs no lakeflow at all. A file rather than
bytes because a worker logs the arguments of a task that fails, and some calls carry credentials.
"""

from __future__ import annotations

import pickle
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from typing import TYPE_CHECKING, Any

import cloudpickle

from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["carry", "misfit", "run_carried"]

_PACKAGES = ("lakeflow", "lakeflow_engines", "lakeflow_io")
_HINT = "install the driver's version on all workers, from one wheel or image."

run_carried = pickle.load
"""The task: takes what `carry` gives, returns what the call does."""


def carry(call: Callable[[Any], Any], argument: Any) -> BytesIO:
    """A call as a file, which `run_carried` runs, once.

    Raises:
        Exception: the call or its argument can't be pickled.
    """
    return BytesIO(pickle.dumps(_Carried(cloudpickle.dumps((call, argument)))))


def misfit(error: BaseException) -> ConfigError | None:
    """What to say of a task that failed because its worker has no lakeflow; None of any other."""
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in _PACKAGES:
        return ConfigError(f"The driver has {_own()}, and a worker of the cluster has none: {error}.", _HINT)
    return None


class _Carried:
    """Unpickles as what its call returns."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def __reduce__(self) -> tuple[Any, ...]:
        return _call, (_own(), self._payload)


def _call(driver: str, payload: bytes) -> Any:
    # Before objects are made of what another version may have laid out in another way.
    if driver != _own():
        raise ConfigError(f"The driver has {driver}, and a worker of the cluster has {_own()}.", _HINT)
    call, argument = pickle.loads(payload)  # noqa: S301  (Dask runs whatever its clients send)
    return call(argument)


@cache
def _own() -> str:
    """What driver and workers must have in common: a function's code is one minor version of Python's alone."""
    try:
        ours = version("lakeflow")
    except PackageNotFoundError:  # sources on a path
        ours = "of an unknown version"
    return f"lakeflow {ours} on Python {sys.version_info.major}.{sys.version_info.minor}"
