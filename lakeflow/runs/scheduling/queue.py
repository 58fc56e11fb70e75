"""The works that are to run: fresh ones, those that are tried again, and suspects that wait for their turn alone."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from typing import TYPE_CHECKING

from lakeflow.runs.scheduling.ladder import backoff_seconds, next_rung, standing
from lakeflow_io.errors import LakeflowError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from lakeflow.runs.failures import Failure
    from lakeflow.runs.policy import Policy
    from lakeflow.runs.scheduling.ladder import Then
    from lakeflow.runs.work import Work

__all__ = ["Queue"]

_log = logging.getLogger("lakeflow.runs")


class Queue:
    """Hands out works in their order, and puts those that failed where the ladder says.

    Args:
        works: Asked for one by one.
        policy: Of the run.
        history: Failures of earlier drivers, by id.
        done: Ids of parts that are done.
        clock: Seconds.
        jitter: Spreads retries.
    """

    def __init__(
        self,
        works: Iterable[Work],
        policy: Policy,
        history: Mapping[str, Sequence[Failure]],
        done: Collection[str],
        clock: Callable[[], float],
        jitter: random.Random,
    ) -> None:
        self._fresh = iter(works)
        self._policy, self._history, self._done = policy, history, done
        self._clock, self._jitter = clock, jitter
        self._ready: deque[Work] = deque()
        self._delayed: list[tuple[float, int, Work]] = []
        self._suspects: deque[Work] = deque()
        self._parts: set[str] = set()
        self._alone: set[str] = set()
        # Of works that have failed before and aren't done: their failures that count, and their next number.
        self._failures: dict[str, list[Failure]] = {}
        self._numbers: dict[str, int] = {}
        self._put = 0
        self.taken = 0
        """Works that were asked for so far."""
        self.finished = 0
        """Works that were done here; and parts, also those of earlier drivers."""
        self.split: dict[str, int] = {}
        """Into how many parts shards were cut, by id."""

    def peek(self) -> Work | None:
        """The work that `take` would hand out; None where none may run now."""
        while self._delayed and self._delayed[0][0] <= self._clock():
            work = heapq.heappop(self._delayed)[2]
            (self._suspects if work.id in self._alone else self._ready).append(work)
        while not self._ready:
            work_or_none = next(self._fresh, None)
            if work_or_none is None:
                return None
            self.taken += 1
            self._begin(work_or_none)
        return self._ready[0]

    def take(self) -> Work:
        """The next work; `peek` has seen it."""
        return self._ready.popleft()

    def put_back(self, work: Work) -> None:
        """A work that was handed out and hasn't begun."""
        self._ready.appendleft(work)

    def take_suspect(self) -> Work | None:
        """The next work that runs alone."""
        return self._suspects.popleft() if self._suspects else None

    @property
    def waits(self) -> bool:
        """Whether a work waits for its time to come."""
        return bool(self._delayed)

    @property
    def empty(self) -> bool:
        """Whether there is nothing left to run."""
        return self.peek() is None and not self._delayed and not self._suspects

    def due_in(self) -> float | None:
        """Seconds until the next work's time comes; None where it has come, and there is only no room for it."""
        if not self._delayed or self._delayed[0][0] <= self._clock():
            return None
        return self._delayed[0][0] - self._clock()

    def number(self, work: Work) -> int:
        """The number of a work's next attempt; each is given once."""
        number = self._numbers.get(work.id, 0)
        self._numbers[work.id] = number + 1
        return number

    def done(self, work: Work) -> None:
        """Forget a work."""
        self.finished += 1
        self._forget(work)

    def failed(self, work: Work, failure: Failure, *, splits: bool) -> Then:
        """Put a work where it belongs after a failure.

        Args:
            work: No attempt of it runs.
            failure: Of the last one.
            splits: Whether the run can have parts of it.

        Returns:
            What is done about it.
        """
        failures = self._failures.setdefault(work.id, [])
        failures.append(failure)
        part = work.id in self._parts
        parts: Sequence[Work] = ()
        then = next_rung(failures, self._policy, part=part, splits=splits)
        if then == "split":
            parts = _parts(work)
            then = next_rung(failures, self._policy, part=part, splits=bool(parts))
        if then in ("again", "alone"):
            _log.warning("%s attempt %d failed, will run %s: %s", work.id, failure.attempt, then, failure.message)
        if then == "again":
            self._delay(work, backoff_seconds(failures, self._jitter))
        elif then == "alone":
            self._suspect(work)
        else:
            self._forget(work)
        if then == "split":
            _log.warning("%s is cut into %d parts after: %s", work.id, len(parts), failure.message)
            self._add_parts(work, parts)
        return then

    def _begin(self, work: Work) -> None:
        """Put a work that is seen for the first time where it stands."""
        before = self._history.get(work.id, ())
        if not before:
            self._ready.append(work)
            return
        self._numbers[work.id] = max(failure.attempt for failure in before) + 1
        part = work.id in self._parts
        counting, then = standing(before, self._policy, part=part, splits=True)
        parts = _parts(work) if then == "split" else ()
        if parts:
            self._numbers.pop(work.id)
            self._add_parts(work, parts)
            return
        if counting and then != "split":  # what can't be cut has no rung left, and begins anew
            self._failures[work.id] = counting
        if part or then == "alone":
            self._suspect(work)
        else:
            self._ready.append(work)

    def _add_parts(self, work: Work, parts: Sequence[Work]) -> None:
        self.split[work.id] = len(parts)
        for part in parts:
            if part.id in self._done:
                self.finished += 1
                continue
            self._parts.add(part.id)
            if part.id in self._history:
                self._begin(part)
            else:
                self._suspect(part)

    def _suspect(self, work: Work) -> None:
        self._alone.add(work.id)
        self._suspects.append(work)

    def _delay(self, work: Work, seconds: float) -> None:
        self._put += 1
        heapq.heappush(self._delayed, (self._clock() + seconds, self._put, work))

    def _forget(self, work: Work) -> None:
        self._failures.pop(work.id, None)
        self._numbers.pop(work.id, None)
        self._alone.discard(work.id)
        self._parts.discard(work.id)


def _parts(work: Work) -> Sequence[Work]:
    try:
        return work.split()
    except LakeflowError as error:
        _log.warning("%s can't be cut into parts: %s", work.id, error)
        return ()
