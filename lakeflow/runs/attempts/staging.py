"""What a function returned -> data files of each output, written as it comes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_engines.frames import to_arrow
from lakeflow_io.budget import default_budget
from lakeflow_io.errors import FunctionError, SchemaError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.runs.attempts.attempt import Attempt
    from lakeflow.runs.attempts.deadline import Deadline
    from lakeflow.runs.attempts.measured import Stopwatch
    from lakeflow.runs.outputs.sink import RowWriter

__all__ = ["Staging"]

_log = logging.getLogger("lakeflow.runs")

# Rows that a generator yields one by one, as dicts, are made into tables of so many.
_ROWS_AT_ONCE = 10_000


class Staging:
    """The files of one attempt: nobody sees them until its marker names them.

    Args:
        attempt: Whose.
        guarded: Runs the caller's code and tells its errors: a generator or a lazy frame runs it here.
        deadline: Not raised in the middle of writing.
        watch: Where writing is counted as such.
    """

    def __init__(
        self,
        attempt: Attempt,
        guarded: Callable[[Callable[[], Any]], Any],
        deadline: Deadline,
        watch: Stopwatch,
    ) -> None:
        self._job, self._name = attempt.job, attempt.key
        self._returned = f"{attempt.work.id}: what {attempt.job.function_name} returned"
        self._guarded, self._deadline, self._watch = guarded, deadline, watch
        self._memory = (attempt.job.memory or default_budget()) // max(1, len(attempt.job.writers))
        self._writers: dict[str, RowWriter] = {}
        self._rows: list[dict[str, Any]] = []

    def take(self, value: Any) -> None:
        """Write what a function returned.

        Args:
            value: A frame, or a mapping of frames by output where the run has named outputs; or a generator,
                a reader or another iterator of these, which is written part by part.

        Raises:
            FunctionError: it holds no rows.
            SchemaError: they don't fit the output.
            StoreError: the store refused.
        """
        if not _streams(value):
            self._take_part(value)
            return
        end = object()
        while (part := self._guarded(lambda: next(value, end))) is not end:
            if part is None:
                continue
            if isinstance(part, Mapping) and not self._job.named:
                self._rows.append(dict(part))
                if len(self._rows) >= _ROWS_AT_ONCE:
                    self._take_rows()
            else:
                self._take_rows()
                self._take_part(part)
        self._take_rows()

    def close(self) -> dict[str, list[dict[str, Any]]]:
        """Write what is left; returns a description of each file, by output."""
        with self._deadline.masked(), self._watch.timed("write"):
            return {name: self._writers[name].close() if name in self._writers else [] for name in self._job.writers}

    def discard(self) -> None:
        """Leave nothing behind. What can't be deleted is told: the failure that led here is what counts."""
        for name, writer in self._writers.items():
            try:
                writer.discard()
            except StoreError as error:
                _log.warning("files of %s for %s stay behind: %s", self._name, name, error)

    def _take_rows(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self._take_part(rows)

    def _take_part(self, value: Any) -> None:
        if not self._job.named:
            [name] = self._job.writers
            self._write(name, value, self._returned)
            return
        if not isinstance(value, Mapping):
            raise FunctionError(
                f"{self._returned} is a {type(value).__name__}, but the run has the outputs {list(self._job.writers)}.",
                "return a dict of frames by the outputs' names.",
            )
        unknown = [name for name in value if name not in self._job.writers]
        if unknown:
            raise FunctionError(
                f"{self._returned} has {unknown}, which are no outputs.",
                f"the outputs are {list(self._job.writers)}.",
            )
        for name, frame in value.items():
            if frame is not None:
                self._write(name, frame, f"{self._returned} for {name!r}")

    def _write(self, name: str, value: Any, what: str) -> None:
        data = self._guarded(lambda: to_arrow(value, what))
        with self._deadline.masked(), self._watch.timed("write"):
            writer = self._writers.get(name)
            if writer is None:
                writer = self._writers[name] = self._job.writers[name].writer(self._name, self._memory)
            try:
                writer.write(data)
            except SchemaError as error:
                raise SchemaError(f"{what} can't be written. {error.message}", error.hint) from error


def _streams(value: Any) -> bool:
    """Whether a value is read part by part, and once."""
    return isinstance(value, Iterator | pa.RecordBatchReader)
