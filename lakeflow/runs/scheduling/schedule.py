"""Which attempt runs when: in the order of the works, few in flight, failed ones as the ladder says.

What is submitted beyond what the executor can run is a quarter of a second's work, or a tenth where works are
longer than that, and attempts are made when they are submitted: a driver that stops has little to call back,
and a run of a hundred thousand works takes no more of the driver's memory than one of a thousand.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lakeflow.runs.attempts.attempt import Valued, run_attempt
from lakeflow.runs.failures import Failure, failed
from lakeflow.runs.scheduling.admission import Admission
from lakeflow.runs.scheduling.flight import InFlight
from lakeflow.runs.scheduling.interrupt import interrupts
from lakeflow.runs.scheduling.queue import Queue
from lakeflow.runs.scheduling.stragglers import Stragglers
from lakeflow.runs.scheduling.verdict import Verdict
from lakeflow_io.errors import TaskTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from lakeflow.runs.attempts.attempt import Attempt, Job
    from lakeflow.runs.policy import Policy
    from lakeflow.runs.scheduling.flight import Flight
    from lakeflow.runs.scheduling.interrupt import Interrupts
    from lakeflow.runs.scheduling.ladder import Then
    from lakeflow.runs.work import Work
    from lakeflow_engines.executors import Completion, Executor

__all__ = ["Observer", "Outcome", "run_all"]

# Calls submitted beyond those that run hide the way to a worker and back, and that several end at a time. They also go
# there together, which for short ones is most of what they cost on Dask: 256 at a time take a third of what one does
# (benchmarks foreach).
_AHEAD_SECONDS, _LEAST_SURPLUS, _MOST_SURPLUS = 0.25, 0.1, 512
# How long a wait is at most where nothing runs whose end would end it: Ctrl-C is noticed then.
_PAUSE_SECONDS = 0.5
_KEY = "foreach-"


class Observer(Protocol):
    """Who is told of a run while it runs, in the driver's thread."""

    def started(self, attempt: Attempt) -> None:
        """It began to run, as far as the driver can tell; or has ended, and so must have."""
        ...

    def done(self, attempt: Attempt, value: Any) -> None:
        """It ended well, and with it every other attempt at its work.

        Args:
            attempt: The one that ended first.
            value: The marker that counts less its `files`, or the function's value where nothing is written.
        """
        ...

    def failed(self, attempt: Attempt, failure: Failure, then: Then) -> None:
        """It failed.

        Args:
            attempt: Which.
            failure: How.
            then: What comes next for its work.
        """
        ...


@dataclass(slots=True)
class Outcome:
    """What became of the works that have no marker of their own."""

    quarantined: dict[str, Failure] = field(default_factory=dict)
    """Works that were set aside, by id; parts of a shard are works."""
    split: dict[str, int] = field(default_factory=dict)
    """Into how many parts shards were cut, by id."""


def run_all(
    executor: Executor,
    attempt_of: Callable[[Work, int], Attempt],
    works: Iterable[Work],
    policy: Policy,
    history: Mapping[str, Sequence[Failure]],
    observer: Observer,
    done: Collection[str] = frozenset(),
    total: int | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    jitter: random.Random | None = None,
) -> Outcome:
    """Run an attempt of every work, and others after failures that may pass.

    Args:
        executor: Where they run; it stays open.
        attempt_of: Makes an attempt from a work and a number.
        works: In the order in which they begin; asked for one by one.
        policy: What is done about failures.
        history: What failed in earlier drivers, by id of the work.
        observer: Is told.
        done: Ids of parts of shards that are done: they aren't run again.
        total: Works of the whole run, for a `max_failures` that is a fraction; default those of `works`.
        clock: Seconds, for tests.
        jitter: Spreads retries, for tests.

    Raises:
        LakeflowError: the first failure that was set aside with `on_error="raise"`, once what ran has ended.
        RunError: more works were set aside than `max_failures`; or nothing can be run any more.
        RunInterruptedError: somebody pressed Ctrl-C, and what ran has ended.
        KeyboardInterrupt: somebody pressed it twice.
    """
    if total is None and isinstance(works, Sized):
        total = len(works)
    queue = Queue(works, policy, history, done, clock, jitter or random.Random())  # noqa: S311  (spreads load)
    with interrupts() as signals:
        return _Run(executor, attempt_of, policy, observer, queue, total, clock, signals).run()


class _Run:
    """The loop: submit, wait, decide."""

    def __init__(
        self,
        executor: Executor,
        attempt_of: Callable[[Work, int], Attempt],
        policy: Policy,
        observer: Observer,
        queue: Queue,
        total: int | None,
        clock: Callable[[], float],
        signals: Interrupts,
    ) -> None:
        self._executor, self._attempt_of, self._policy, self._observer = executor, attempt_of, policy, observer
        self._queue, self._clock, self._signals = queue, clock, signals
        self._verdict = Verdict(policy, total)
        self._flying = InFlight(clock)
        self._refill_at = 0
        self._backed_up: set[str] = set()
        self._job: Job | None = None
        self._stragglers, self._admission = Stragglers(), Admission()

    def run(self) -> Outcome:
        while True:
            self._fill()
            if not self._flying and (self._stopping or self._queue.empty):
                break
            self._wait()
            self._look()
        self._verdict.check(self._queue, self._job, interrupted=self._signals.requested)
        return Outcome(self._verdict.quarantined, self._queue.split)

    @property
    def _stopping(self) -> bool:
        return self._signals.requested or self._verdict.stops

    # Submitting

    def _fill(self) -> None:
        """Submit as much as the window and the workers' memory take."""
        if self._stopping:
            self._call_back()
            return
        slots = max(1, self._executor.slots)
        surplus = self._surplus(slots)
        # Few calls one by one cost more than many at a time: the next ones go when half of what waited has begun.
        self._refill_at = slots + surplus // 2
        if self._flying.alone or len(self._flying) > self._refill_at:
            return
        while len(self._flying) < slots + surplus and (work := self._queue.peek()) is not None:
            if not self._fits(work):
                return
            self._submit(self._queue.take(), alone=False)
        if not self._flying and not self._queue.waits:
            suspect = self._queue.take_suspect()
            if suspect is not None:
                self._submit(suspect, alone=True)

    def _surplus(self, slots: int) -> int:
        """How many calls are submitted, at most, beyond those that run."""
        usual = self._stragglers.usual_seconds
        if usual is None:
            return 0
        ahead = _AHEAD_SECONDS / max(_AHEAD_SECONDS / _MOST_SURPLUS, usual) - 1
        return min(_MOST_SURPLUS, round(slots * max(_LEAST_SURPLUS, ahead)))

    def _fits(self, work: Work) -> bool:
        return self._admission.admits(work.bytes, self._flying.bytes, self._executor.memory)

    def _submit(self, work: Work, *, alone: bool) -> None:
        attempt = self._attempt_of(work, self._queue.number(work))
        self._job = attempt.job
        self._executor.submit(_KEY + attempt.key, run_attempt, attempt)
        self._flying.add(attempt, alone=alone)

    def _call_back(self) -> None:
        """Nothing new starts: what waits in the executor's queue is forgotten."""
        for each in reversed(list(self._flying.waiting)):
            attempt = each.attempt
            self._flying.remove(attempt.key)
            self._executor.cancel(_KEY + attempt.key)
            if not self._others(attempt.work):
                self._queue.put_back(attempt.work)

    def _begin(self) -> None:
        """Tell of what has come to run, now that something has ended or was submitted."""
        for each in self._flying.begin(max(1, self._executor.slots)):
            self._observer.started(each.attempt)

    # Waiting

    def _wait(self) -> None:
        """Wait for something to happen, and take in everything that has, until there is room for more."""
        self._begin()
        completion = self._executor.next(self._patience())
        while completion is not None:
            self._ended(completion)
            # A run that stops hears first of what has ended already: the news of it is what tells what runs.
            room = not self._stopping and len(self._flying) <= self._refill_at and self._queue.peek() is not None
            if room or not self._flying:
                return
            completion = self._executor.next(0.0)

    def _patience(self) -> float | None:
        """Seconds until there may be something to do that no completion tells of."""
        now = self._clock()
        due = [self._queue.due_in(), None if self._flying else _PAUSE_SECONDS]
        for each in self._watched():
            if each.began is not None:
                limits = (self._policy.hard_seconds, self._straggler_limit(each))
                due += [each.began + limit - now for limit in limits if limit is not None]
        known = [seconds for seconds in due if seconds is not None]
        return max(0.0, min(known)) if known else None

    # Deciding

    def _ended(self, completion: Completion) -> None:
        each = self._flying.remove(completion.key.removeprefix(_KEY))
        if each is None:
            return
        if each.began is None:
            self._flying.note(each)
            self._observer.started(each.attempt)
        attempt, value = each.attempt, completion.value
        if completion.error is not None:
            failure = failed(
                attempt.work.id, attempt.number, completion.error, started=each.wall, seconds=self._elapsed(each),
                here=False,
            )  # fmt: skip
            self._failed(each, failure)
        elif isinstance(value, Failure):
            self._failed(each, value)
        else:
            self._done(each, value)
        self._begin()

    def _done(self, each: Flight, value: Any) -> None:
        facts = value.facts if isinstance(value, Valued) else value
        work = each.attempt.work
        for key in self._others(work):  # the first one counts
            self._flying.remove(key)
            self._executor.cancel(_KEY + key)
        timed = facts.get("seconds")
        seconds = sum(timed.values()) if timed else self._elapsed(each)
        self._stragglers.add(work.bytes, seconds)
        self._admission.learn(facts)
        self._queue.done(work)
        self._backed_up.discard(work.id)
        self._observer.done(each.attempt, value.value if isinstance(value, Valued) else value)

    def _failed(self, each: Flight, failure: Failure) -> None:
        work = each.attempt.work
        if self._others(work):
            then: Then = "again"  # the other attempt is it
        else:
            then = self._queue.failed(work, failure, splits=bool(each.attempt.job.writers))
        self._observer.failed(each.attempt, failure, then)
        self._verdict.add(failure, then)

    def _others(self, work: Work) -> list[str]:
        """Keys of its other attempts; only a straggler has any."""
        return self._flying.of(work.id) if work.id in self._backed_up else []

    def _elapsed(self, each: Flight) -> float:
        return 0.0 if each.began is None else self._clock() - each.began

    # Looking after what runs

    def _look(self) -> None:
        """End what is over its hard deadline; give stragglers a second attempt."""
        hard = self._policy.hard_seconds
        for each in self._watched():
            if each.began is None:
                continue
            # Compared as `_patience` computes it, so that rounding can't leave a moment to wait for again and again.
            if hard is not None and self._clock() >= each.began + hard:
                self._kill(each, hard)
                continue
            limit = self._straggler_limit(each)
            if limit is not None and self._clock() >= each.began + limit:
                self._backed_up.add(each.attempt.work.id)
                self._submit(each.attempt.work, alone=False)

    def _kill(self, each: Flight, hard: float) -> None:
        key = each.attempt.key
        self._flying.remove(key)
        if self._executor.kill(_KEY + key):
            end, hint = "its worker was restarted", "give it more time with deadline=, or use smaller shards."
        else:
            self._executor.cancel(_KEY + key)
            end = f"the engine {self._executor.name!r} can't stop it, so it may run on"
            hint = 'use engine="dask", whose workers are processes, for functions that may never end.'
        work = each.attempt.work
        error = TaskTimeoutError(f"{work.id} took longer than its hard deadline of {hard:g} s; {end}.", hint)
        self._begin()
        self._failed(
            each,
            failed(work.id, each.attempt.number, error, started=each.wall, seconds=self._elapsed(each), here=False),
        )

    def _watched(self) -> list[Flight]:
        """Those of which it matters how long they have run."""
        return list(self._flying.begun) if self._idle or self._policy.hard_seconds is not None else []

    @property
    def _idle(self) -> bool:
        """Whether a slot has nothing to do, and nothing is going to come for it."""
        return len(self._flying) < self._executor.slots and self._queue.peek() is None and not self._queue.waits

    def _straggler_limit(self, each: Flight) -> float | None:
        """After how many seconds an attempt gets another one beside it; None where it doesn't."""
        work = each.attempt.work
        if not self._idle or not self._policy.speculate or each.alone or self._stopping:
            return None
        if work.id in self._backed_up or not self._fits(work):
            return None
        return self._stragglers.limit_seconds(work.bytes)
