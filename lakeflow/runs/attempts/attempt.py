"""One attempt at one work, in whatever process a worker is: read, call, stage, mark.

An attempt that is killed at any line leaves at worst files that no marker names. An attempt that
was overtaken, or that failed, deletes its own.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lakeflow.runs.attempts.caller import guard, load_function
from lakeflow.runs.attempts.deadline import Expired, run_within
from lakeflow.runs.attempts.feed import Feed
from lakeflow.runs.attempts.measured import Memory, Stopwatch
from lakeflow.runs.attempts.printed import printed
from lakeflow.runs.attempts.staging import Staging
from lakeflow.runs.attempts.values import check_value
from lakeflow.runs.failures import Failure, failed, this_worker
from lakeflow.runs.state.journal import Journal
from lakeflow_engines.frames import from_arrow
from lakeflow_engines.shared import SharedTable, load_shared
from lakeflow_io.errors import StoreError, TaskTimeoutError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lakeflow.runs.attempts.deadline import Deadline
    from lakeflow.runs.outputs.sink import ShardWriter
    from lakeflow.runs.work import Work

_log = logging.getLogger("lakeflow.runs")

__all__ = ["Attempt", "Job", "Valued", "run_attempt"]


@dataclass(frozen=True, slots=True)
class Job:
    """What all attempts of a run have in common; travels with each, so it is kept small."""

    run_id: str
    function: bytes = field(repr=False)
    """Pickled by cloudpickle."""
    function_name: str
    kinds: dict[str, str]
    """Which frame each parameter wants."""
    params: dict[str, Any] = field(repr=False)
    shared: tuple[SharedTable, ...]
    writers: Mapping[str, ShardWriter]
    """By output, in the order in which they are committed; empty: the function's value is sent back."""
    named: bool
    """Whether the function returns a mapping of frames by output, and not one frame."""
    folder: str
    """URI of the run's folder."""
    store: dict[str, str] = field(repr=False)
    conditional: bool = True
    """Whether the store has conditional writes."""
    deadline: float | None = None
    """Seconds that an attempt may take before it is asked to end."""
    shell_options: str = ""
    """What a shell needs beside the run's id to find it, with a space before it."""
    memory: int | None = None
    """Bytes that reading ahead and writing may hold each; None for the usual budget."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one work."""

    job: Job
    work: Work
    number: int
    """0 for the first."""

    @property
    def key(self) -> str:
        """Unique within the run: the name of its task and the beginning of its files' names."""
        return f"{self.job.run_id}-{self.work.id}-a{self.number}"


@dataclass(frozen=True, slots=True)
class Valued:
    """What an attempt came to where nothing is written."""

    value: Any
    facts: dict[str, Any]
    """What the scheduler learns from, as in a marker."""


def run_attempt(attempt: Attempt) -> dict[str, Any] | Valued | Failure:
    """Run one attempt.

    Returns:
        The marker that counts for this work, less its `files`, which may be many; or the function's value
        where nothing is written; or what went wrong: it is a value, so that it travels whole, and so that
        no engine has to know how to send exceptions.
    """
    began, clock = time.time(), time.perf_counter()
    with printed(attempt.work.id) as output, Memory() as memory:
        try:
            return _Running(attempt, began, memory).run()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  (whatever it is, the scheduler decides what comes next)
            seconds = time.perf_counter() - clock
            return failed(attempt.work.id, attempt.number, error, started=began, seconds=seconds, output=output.text)


class _Running:
    """An attempt under way."""

    def __init__(self, attempt: Attempt, began: float, memory: Memory) -> None:
        self._attempt, self._job, self._work = attempt, attempt.job, attempt.work
        self._began, self._memory = began, memory
        self._watch = Stopwatch()
        self._feed: Feed | None = None
        self._staging: Staging | None = None

    def run(self) -> dict[str, Any] | Valued:
        try:
            value, staged = run_within(self._job.deadline, self._work_within)
        except BaseException as error:
            if self._staging is not None:
                self._staging.discard()
            if isinstance(error, Expired):
                raise self._late() from error
            raise
        finally:
            if self._feed is not None:
                self._feed.close()
        if not self._job.writers:
            return Valued(value, self._taken())
        return self._mark({**self._facts(staged), "files": staged})

    def _work_within(self, deadline: Deadline) -> tuple[Any, dict[str, list[dict[str, Any]]]]:
        try:
            return self._call(deadline)
        except Expired:
            raise
        except BaseException as error:
            if self._feed is not None and self._feed.error is not None:
                raise self._feed.error from None  # whatever the function made of it
            if deadline.expired:  # the same
                raise Expired from error
            raise

    def _call(self, deadline: Deadline) -> tuple[Any, dict[str, list[dict[str, Any]]]]:
        job = self._job
        with deadline.masked():
            function = load_function(job.function, self._work.id, job.function_name)
            kind = next(iter(job.kinds.values()))
            shared = {
                each.name: from_arrow(load_shared(each), job.kinds.get(each.name, "arrow")) for each in job.shared
            }
            self._feed = Feed(self._work, kind, job.memory, deadline, self._watch)

        def guarded(run: Callable[[], Any]) -> Any:
            with self._watch.timed("function"):
                return guard(self._attempt, run)

        # Nothing here holds the rows once the function has let go of them.
        value = guarded(partial(function, self._feed.argument(), **shared, **job.params))
        if not job.writers:
            check_value(value, f"{self._work.id}: what {job.function_name} returned")
            return value, {}
        self._staging = Staging(self._attempt, guarded, deadline, self._watch)
        self._staging.take(value)
        return None, self._staging.close()

    def _late(self) -> TaskTimeoutError:
        return TaskTimeoutError(
            f"{self._work.id}: {self._job.function_name} took longer than its deadline of {self._job.deadline} s.",
            "give it more time with deadline=, or use smaller shards.",
        )

    def _facts(self, staged: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
        assert self._feed is not None  # noqa: S101  (it was read from)
        counts = {
            name: {
                "files": len(files),
                "rows": sum(file["rows"] for file in files),
                "bytes": sum(file["bytes"] for file in files),
            }
            for name, files in staged.items()
        }
        return {
            "format": 1,
            "shard": self._work.id,
            "attempt": self._attempt.number,
            "counts": counts,
            "rows": sum(each["rows"] for each in counts.values()),
            "bytes_out": sum(each["bytes"] for each in counts.values()),
            "started": self._began,
            "scan": self._feed.scan,
            "worker": this_worker(),
            **self._taken(),
        }

    def _taken(self) -> dict[str, Any]:
        assert self._feed is not None  # noqa: S101  (it was read from)
        return {
            "rows_in": self._feed.rows,
            "bytes_in": self._work.bytes,
            "seconds": self._watch.rounded(),
            "peak_rss_bytes": self._memory.peak_bytes,
            "rss_start_bytes": self._memory.start_bytes,
            "sharing": self._memory.sharing,
        }

    def _mark(self, marker: dict[str, Any]) -> dict[str, Any]:
        """Put the marker. From here on the files may be counted, so nobody deletes them who hasn't looked."""
        job = self._job
        counted = Journal(open_transport(job.store), job.folder, job.conditional).mark_done(marker)
        if counted["files"] != marker["files"]:
            for name, files in marker["files"].items():
                _discard(job.writers[name], files)
        return {name: value for name, value in counted.items() if name != "files"}


def _discard(writer: ShardWriter, staged: list[dict[str, Any]]) -> None:
    try:
        writer.discard(staged)
    except StoreError as error:
        # The shard is done: what couldn't be deleted is waste, not a failure.
        _log.warning("files of an attempt that lost stay behind: %s (%s)", [file["path"] for file in staged], error)
