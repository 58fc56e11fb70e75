"""What went wrong with an attempt, of which kind it is, and what is written down of it.

| kind | is | passes? |
|---|---|---|
| `transient` | the store or the network failed | likely, later |
| `lasting` | the store refuses, or a file is gone or damaged | not by itself |
| `function` | the caller's code raised, or returned what can't be used | no |
| `out-of-memory` | the attempt needed more memory than there is | with less beside it, or in parts |
| `timeout` | it took longer than its deadline | perhaps |
| `worker-lost` | its process died | perhaps; it may be what killed it |
"""

from __future__ import annotations

import os
import platform
import traceback
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lakeflow_io.errors import (
    AccessDeniedError,
    CommitConflictError,
    DataError,
    LakeflowError,
    ObjectNotFoundError,
    OutOfMemoryError,
    RunError,
    StoreError,
    StoreFullError,
    TaskTimeoutError,
    WorkerLostError,
)

__all__ = ["Failure", "Kind", "failed", "kind_of", "this_worker"]

Kind = Literal["transient", "lasting", "function", "out-of-memory", "timeout", "worker-lost"]

_FORMAT = 1
_LASTING = (AccessDeniedError, CommitConflictError, DataError, ObjectNotFoundError, StoreFullError)
_MOST_MESSAGE, _MOST_TRACEBACK = 8 * 1024, 32 * 1024  # characters; a traceback's end says what was raised


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt: `failed/<work id>-a<number>.json` but for its format and what came next."""

    shard: str
    """Id of the work."""
    attempt: int
    kind: Kind
    type: str
    """The exception's class."""
    message: str
    hint: str | None = None
    traceback: str = ""
    """As Python prints it; of the caller's code where that failed."""
    output: str = ""
    """The last that it printed."""
    started: float = 0.0
    """Unix seconds."""
    seconds: float = 0.0
    worker: dict[str, Any] = field(default_factory=dict)
    """`host` and `pid`; empty where its process died."""
    error: LakeflowError | None = field(default=None, compare=False, repr=False)
    """What a run raises for it; not written down."""

    def record(self, then: str) -> dict[str, Any]:
        """For the run's folder.

        Args:
            then: `again`, `alone`, `split`, `quarantined` or `raised`.
        """
        facts = {name: getattr(self, name) for name in _RECORDED}
        return {"format": _FORMAT, **facts, "next": then}

    @classmethod
    def from_record(cls, facts: dict[str, Any]) -> Failure:
        """From the run's folder; fields that a later version added are left out.

        Raises:
            KeyError, TypeError: it is no such record.
        """
        return cls(**{name: facts[name] for name in _RECORDED if name in facts})

    def raised(self) -> LakeflowError:
        """The error to raise for it, also where it was read from the run's folder."""
        if self.error is not None:
            return self.error
        kinds: dict[str, type[LakeflowError]] = {each.__name__: each for each in _every(LakeflowError)}
        return kinds.get(self.type, RunError)(self.message, self.hint)


_RECORDED = tuple(each.name for each in fields(Failure) if each.name != "error")


def _every(kind: type[LakeflowError]) -> list[type[LakeflowError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in _every(below))]


def kind_of(error: BaseException) -> Kind:
    """Which kind of failure an exception is.

    Libraries have exceptions of their own for memory, which are known by their names: DuckDB's
    OutOfMemoryException, torch's OutOfMemoryError, Arrow's ArrowMemoryError.
    """
    if isinstance(error, OutOfMemoryError | MemoryError) or "OutOfMemory" in type(error).__name__:
        return "out-of-memory"
    if isinstance(error, TaskTimeoutError):
        return "timeout"
    if isinstance(error, WorkerLostError):
        return "worker-lost"
    if isinstance(error, _LASTING):
        return "lasting"
    return "transient" if isinstance(error, StoreError) else "function"


def failed(
    shard: str,
    attempt: int,
    error: BaseException,
    *,
    started: float,
    seconds: float = 0.0,
    output: str = "",
    here: bool = True,
) -> Failure:
    """Describe a failed attempt.

    Args:
        shard: Id of the work.
        attempt: Its number.
        error: What was raised. One that isn't lakeflow's is told in a RunError.
        started: Unix seconds.
        seconds: That it took.
        output: What it printed.
        here: Whether it ran in this process.
    """
    # A class of the caller's own may not be there where this travels to.
    known = isinstance(error, LakeflowError) and type(error).__module__ == LakeflowError.__module__
    ours = error if isinstance(error, LakeflowError) and known else _wrapped(shard, error)
    text = getattr(ours, "traceback_text", "") or "".join(traceback.format_exception(error))
    _let_go(error)
    return Failure(
        shard=shard,
        attempt=attempt,
        kind=kind_of(error),
        type=type(ours).__name__,
        message=ours.message[:_MOST_MESSAGE],
        hint=ours.hint,
        traceback=text[-_MOST_TRACEBACK:],
        output=output,
        started=started,
        seconds=round(seconds, 4),
        worker=this_worker() if here else {},
        error=ours,
    )


def this_worker() -> dict[str, Any]:
    """Where this process runs."""
    return {"host": platform.node(), "pid": os.getpid()}


def _wrapped(shard: str, error: BaseException) -> RunError:
    what = f"{shard} failed: {type(error).__name__}: {error}"
    if kind_of(error) == "out-of-memory":
        return OutOfMemoryError(what, "use smaller shards, fewer slots, or workers with more memory.")
    return RunError(what, "check that workers have the driver's versions of lakeflow and of its packages.")


def _let_go(error: BaseException | None) -> None:
    """Clear the frames of an error that is kept: they hold what the attempt had read."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
