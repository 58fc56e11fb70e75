"""The scheduler, on an executor that takes no time: order, window, admission, and any faults at once."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from fates import by_bytes, well
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.runs.policy import Policy
from lakeflow_engines.executors import Fate, VirtualExecutor
from lakeflow_io.errors import (
    FunctionError,
    OutOfMemoryError,
    StoreError,
    TaskTimeoutError,
    WorkerLostError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakeflow.runs.attempts.attempt import Attempt
    from lakeflow_engines.executors import Completion

QUARANTINE = Policy(on_error="quarantine")


def test_the_largest_begins_first(simulate: Any, task: Any) -> None:
    """Works begin in the order of their bytes, ties in that of their index."""
    run = simulate(by_bytes, slots=1)
    run.run([task(0, 2), task(1, 7), task(2, 2), task(3, 5)])

    assert [key for _, key in run.began] == ["task-00001-a0", "task-00003-a0", "task-00000-a0", "task-00002-a0"]


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**16))
def test_every_work_is_done_once_and_few_are_in_flight(simulate: Any, task: Any, slots: int, n: int, seed: int) -> None:
    """Whatever the sizes: each work counts once, and of works of seconds a tenth waits in the executor."""
    run = simulate(lambda attempt: well(1 + attempt.work.bytes % 7), slots=slots)
    run.run([task(index, 1 + (index * seed) % 97) for index in range(n)])

    assert sorted(run.counted) == [f"task-{index:05d}-a0" for index in range(n)]
    assert run.executor.most <= slots + round(slots / 10)


def test_attempts_are_made_when_they_are_submitted(simulate: Any, task: Any) -> None:
    """Of 100,000 works that are made one by one, the driver never holds more than the window."""
    alive: set[int] = set()
    most = 0

    class Counted(task):  # type: ignore[misc]
        def __init__(self, index: int) -> None:
            super().__init__(index)
            alive.add(index)

        def __del__(self) -> None:
            alive.discard(self.index)

    def works() -> Iterator[Any]:
        nonlocal most
        for index in range(100_000):
            most = max(most, len(alive))
            yield Counted(index)

    def fate(_attempt: Attempt) -> Fate:
        return Fate(1.0, {})

    run = simulate(fate, slots=8)
    run.started = run.done = lambda *_: None
    run.run(works(), ordered=True)

    assert most <= 8 + 1 + 2
    assert len(run.executor.began) == 100_000


@settings(max_examples=20)
@given(st.integers(2, 64), st.floats(0.8, 1.4), st.integers(10, 30))
def test_skewed_shards_finish_in_nearly_the_best_time(
    simulate: Any, task: Any, slots: int, exponent: float, per_slot: int
) -> None:
    """Zipf-sized shards take at most 1.15 x the time in which no schedule could do them."""
    sizes = [max(1, int(10_000 / rank**exponent)) for rank in range(1, slots * per_slot + 1)]
    run = simulate(by_bytes, slots=slots, policy=Policy(speculate=False))
    run.run([task(index, size) for index, size in enumerate(sizes)])

    assert run.executor.now <= 1.15 * max(sum(sizes) / slots, sizes[0])


@settings(max_examples=10)
@given(st.integers(2, 16), st.floats(0.8, 1.4))
def test_skewed_shards_do_so_too_where_most_are_short(simulate: Any, task: Any, slots: int, exponent: float) -> None:
    """Hundreds wait in the executor once works take milliseconds: by then the long ones have long begun."""
    sizes = [max(1, int(10_000 / rank**exponent)) for rank in range(1, slots * 60 + 1)]
    run = simulate(lambda a: well(a.work.bytes / 1000), slots=slots, policy=Policy(speculate=False))
    run.run([task(index, size) for index, size in enumerate(sizes)])

    assert run.executor.now <= 1.15 * max(sum(sizes) / slots, sizes[0]) / 1000


def test_short_works_are_submitted_a_quarter_of_a_second_ahead(simulate: Any, task: Any) -> None:
    """Of ten milliseconds: 25 times as many as run; of none: no more than 512 beyond them; whatever their number."""
    for seconds, most in ((0.01, 4 * 25), (0.0, 4 + 512)):
        run = simulate(lambda _, seconds=seconds: well(seconds), slots=4)
        run.run([task(index) for index in range(3000)])

        assert run.executor.most == most
        assert len(run.counted) == 3000


def test_a_deadline_begins_with_the_attempt_however_many_wait(simulate: Any, task: Any) -> None:
    """Works wait for ten times the hard deadline behind others: the one that never ends is ended, at its time."""
    began: dict[str, float] = {}

    def fate(attempt: Attempt) -> Fate:
        began[f"{attempt.work.id}-a{attempt.number}"] = run.executor.now
        return Fate(math.inf) if (attempt.work.index, attempt.number) == (500, 0) else well(0.0005)

    run = simulate(fate, slots=2, policy=Policy(hard_deadline=0.02))
    run.run([task(index) for index in range(1000)])

    assert [event[1:] for event in run.events if event[0] == "failed"] == [("task-00500-a0", "again")]
    assert began["task-00500-a1"] - began["task-00500-a0"] >= 0.02
    assert run.executor.now < 0.02 + 0.5
    assert len(run.counted) == 1000


def test_as_many_run_as_there_are_slots_however_many_wait(simulate: Any, task: Any) -> None:
    """Observers are told of a beginning when it is one: each attempt once, before its end, and so many at a time."""
    run = simulate(lambda a: Fate(0.01, error=FunctionError("bad")) if a.work.index % 7 == 0 else well(0.01),
                   slots=3, policy=QUARANTINE)  # fmt: skip
    run.run([task(index) for index in range(400)])

    running, most = set[str](), 0
    for verb, key, _ in run.events:
        if verb == "started":
            assert key not in running
            running.add(key)
        else:
            running.remove(key)
        most = max(most, len(running))
    assert (len(running), most) == (0, 3)


def test_what_waits_is_called_back_when_a_run_stops(simulate: Any, task: Any) -> None:
    """A hundred works wait in the executor when one fails: those that run end and count, and the others never begin."""
    run = simulate(lambda a: Fate(0.01, error=FunctionError("bad")) if a.work.index == 300 else well(0.01), slots=4)

    with pytest.raises(FunctionError):
        run.run([task(index) for index in range(1000)])

    assert 300 < len(run.executor.began) <= 301 + 2 * 4
    assert run.executor.most > 90


class Batches(VirtualExecutor):
    """Tells of what ended some time later, with what has ended since: by then others have begun, as on Dask."""

    def __init__(self, fate: Callable[[Attempt], Fate], slots: int) -> None:
        super().__init__(lambda _, attempt: fate(attempt), slots)
        self._told: deque[Completion] = deque()

    def next(self, timeout: float | None = None) -> Completion | None:
        """Of a batch one by one."""
        if not self._told:
            ended, until = super().next(timeout), self.now + 0.05
            while ended is not None:
                self._told.append(ended)
                ended = super().next(until - self.now) if self.now < until else None
        return self._told.popleft() if self._told else None


def test_a_run_that_stops_leaves_nothing_running(simulate: Any, task: Any) -> None:
    """News of a failure comes late: a long work has begun since, which nobody knew of. It ends and counts."""

    def fate(attempt: Attempt) -> Fate:
        if attempt.work.index == 301:
            return Fate(0.01, error=FunctionError("bad"))
        return well(60.0 if attempt.work.index == 305 else 0.01)

    run = simulate(fate, slots=2)
    run.executor = Batches(fate, 2)
    with pytest.raises(FunctionError):
        run.run([task(index) for index in range(1000)])

    assert [key for _, key in run.began if key not in run.counted] == ["task-00301-a0"]
    assert run.executor.now > 60.0
    assert len(run.counted) < 400


def test_time_in_the_executors_queue_does_not_count(simulate: Any, task: Any) -> None:
    """A deadline begins when an attempt does: what runs first is what came first."""
    run = simulate(by_bytes, slots=2, policy=Policy(hard_deadline=11.0))
    run.run([task(index, 10) for index in range(20)])

    assert len(run.counted) == 20
    assert len(run.executor.began) == 20


@given(st.integers(1, 16), st.integers(1, 4000))
def test_admission_keeps_to_the_workers_memory(simulate: Any, task: Any, slots: int, memory: int) -> None:
    """What is planned for what runs is never more than there is; one always runs."""
    held: dict[str, int] = {}
    most = 0

    def fate(attempt: Attempt) -> Fate:
        return well(1 + attempt.work.bytes % 5)

    run = simulate(fate, slots=slots, memory=memory)

    def started(attempt: Attempt) -> None:
        nonlocal most
        held[attempt.work.id] = attempt.work.bytes * 4
        if len(held) > 1:
            most = max(most, sum(held.values()))

    run.started = started
    run.done = lambda attempt, _: held.pop(attempt.work.id)
    run.run([task(index, 1 + index * 37 % 211) for index in range(40)])

    assert most <= memory
    assert len(run.executor.began) == 40


def test_admission_learns_what_attempts_take(simulate: Any, task: Any) -> None:
    """Attempts that take ten times their bytes run one at a time where four times would have let two run."""
    size = 100 * 2**20

    def fate(attempt: Attempt) -> Fate:
        facts = {"bytes_in": size, "peak_rss_bytes": 2**30 + 10 * size, "rss_start_bytes": 2**30, "sharing": 1}
        return Fate(1.0, {**facts, "seconds": {"function": float(attempt.work.bytes > 0)}})

    run = simulate(fate, slots=2, memory=12 * size)
    run.run([task(index, size) for index in range(10)])

    starts = [at for at, _ in run.began]
    assert starts[:2] == [0.0, 0.0]
    assert len(set(starts[-6:])) == 6


def test_workers_that_come_are_used(simulate: Any, task: Any) -> None:
    """The window follows the slots."""

    def fate(attempt: Attempt) -> Fate:
        if attempt.work.index == 5:
            run.executor.slots = 10
        return well()

    run = simulate(fate, slots=1)
    run.run([task(index) for index in range(50)])

    assert run.executor.now < 12.0


def test_no_works_are_no_work(simulate: Any) -> None:
    """An empty run ends at once."""
    assert simulate(by_bytes).run([]).quarantined == {}


@settings(max_examples=100)
@given(
    st.integers(1, 6),
    st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(0, 6)),
        st.sampled_from(
            [StoreError("s"), WorkerLostError("w"), OutOfMemoryError("o"), TaskTimeoutError("t"), FunctionError("f")]
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_whatever_fails_every_work_ends_once(
    simulate: Any,
    task: Any,
    slots: int,
    faults: dict[tuple[int, int], Exception],
    cut: bool,  # noqa: FBT001
) -> None:
    """Any attempts fail in any way: each work is done, set aside, or done and set aside in parts; and only once."""

    def fate(attempt: Attempt) -> Fate:
        error = faults.get((attempt.work.index, attempt.number))
        return well() if error is None else Fate(1.0, error=error)

    run = simulate(fate, slots=slots, policy=Policy(on_error="quarantine", max_failures=100))
    outcome = run.run([task(index, 1, parts=3 if cut else 0) for index in range(12)])

    ended = [key.rpartition("-a")[0] for key in run.counted] + list(outcome.quarantined)
    expected = [f"task-{index:05d}" for index in range(12)]
    for whole, parts in outcome.split.items():
        expected.remove(whole)
        expected += [f"{whole}.{part}of{parts}" for part in range(1, parts + 1)]
    assert sorted(ended) == sorted(expected)
