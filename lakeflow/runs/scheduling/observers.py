"""Who is told of a run's attempts: its folder, its count, any others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.runs.attempts.attempt import Attempt
    from lakeflow.runs.failures import Failure
    from lakeflow.runs.scheduling.ladder import Then
    from lakeflow.runs.scheduling.schedule import Observer
    from lakeflow.runs.state.journal import Journal

__all__ = ["FailuresRecorded", "Observers", "Values"]

_log = logging.getLogger("lakeflow.runs")


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def started(self, attempt: Attempt) -> None:
        """It began."""
        for each in self._observers:
            each.started(attempt)

    def done(self, attempt: Attempt, value: Any) -> None:
        """It ended well."""
        for each in self._observers:
            each.done(attempt, value)

    def failed(self, attempt: Attempt, failure: Failure, then: Then) -> None:
        """It failed."""
        for each in self._observers:
            each.failed(attempt, failure, then)


class FailuresRecorded:
    """Puts each failure into the run's folder, where a resume finds it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def started(self, attempt: Attempt) -> None:
        """Nothing to record."""

    def done(self, attempt: Attempt, value: Any) -> None:
        """The attempt has put its marker itself."""

    def failed(self, attempt: Attempt, failure: Failure, then: Then) -> None:
        """Record it; a store that doesn't take it is met again where that matters."""
        del attempt
        try:
            self._journal.mark_failed(failure, then)
        except StoreError as error:
            _log.warning("a failure of %s isn't recorded: %s", failure.shard, error)


class Values:
    """Hands on what works came to.

    Args:
        on_value: Called with the work's id and the attempt's value.
    """

    def __init__(self, on_value: Callable[[str, Any], None]) -> None:
        self._on_value = on_value

    def started(self, attempt: Attempt) -> None:
        """It has come to nothing yet."""

    def done(self, attempt: Attempt, value: Any) -> None:
        """Hand it on."""
        self._on_value(attempt.work.id, value)

    def failed(self, attempt: Attempt, failure: Failure, then: Then) -> None:
        """It came to nothing."""
