"""The scheduler, on an executor that takes no time: order, window, ladder, stragglers, deadlines, admission."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.runs.attempts.attempt import Valued
from lakeflow.runs.failures import Failure
from lakeflow.runs.policy import Policy
from lakeflow_engines.executors import Fate, VirtualExecutor
from lakeflow_io.errors import (
    FunctionError,
    InputError,
    OutOfMemoryError,
    RunError,
    StoreError,
    StoreFullError,
    TaskTimeoutError,
    WorkerLostError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakeflow.runs.attempts.attempt import Attempt
    from lakeflow_engines.executors import Completion

QUARANTINE = Policy(on_error="quarantine")


def well(seconds: float = 1.0) -> Fate:
    """An attempt that ends well after so many seconds."""
    return Fate(seconds, {"seconds": {"function": seconds}})


def by_bytes(attempt: Attempt) -> Fate:
    """One second a byte."""
    return well(attempt.work.bytes)


def fails(error: Exception, *attempts: int, only: int = 0) -> Callable[[Attempt], Fate]:
    """Of one work, the attempts with these numbers."""

    def fate(attempt: Attempt) -> Fate:
        if attempt.work.index == only and attempt.number in attempts:
            return Fate(1.0, error=error)
        return well()

    return fate


def always(error: Exception, only: int = 0) -> Callable[[Attempt], Fate]:
    """Of one work, every attempt."""
    return fails(error, *range(100), only=only)


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


def test_a_store_that_recovers_is_tried_again(simulate: Any, task: Any) -> None:
    """After a wait, under the next number; the others go on in the meantime."""
    run = simulate(fails(StoreError("down"), 0, 1))
    run.run([task(0), task(1)])

    assert ("failed", "task-00000-a0", "again") in run.events
    assert sorted(run.counted) == ["task-00000-a2", "task-00001-a0"]
    assert run.executor.now > 3.0


def test_a_store_that_stays_down_raises_its_own_error_once_what_runs_has_ended(simulate: Any, task: Any) -> None:
    """What was submitted and has begun counts still, nothing else begins, and the error is the store's."""
    down = StoreError("down", "mend it")
    run = simulate(lambda a: Fate(1.0, error=down) if a.work.index == 0 else well(50), policy=Policy(retries=0))

    with pytest.raises(StoreError, match="down"):
        run.run([task(index) for index in range(6)])

    assert run.counted == ["task-00001-a0"]
    assert run.executor.now == 50


def test_what_failed_besides_is_told_with_the_first(simulate: Any, task: Any) -> None:
    """Two fail: the first is raised, and names the second in a note."""
    run = simulate(lambda a: Fate(1.0 + a.work.index, error=FunctionError(f"bad {a.work.id}")))

    with pytest.raises(FunctionError, match="bad task-00000") as caught:
        run.run([task(index) for index in range(6)])

    assert "bad task-00001" in caught.value.__notes__[0]


def test_a_suspect_runs_alone_and_last(simulate: Any, task: Any) -> None:
    """A lost worker's work waits until the rest is done, and nothing runs beside it."""
    run = simulate(fails(WorkerLostError("died"), 0), slots=4)
    run.run([task(index) for index in range(20)])

    at, key = run.began[-1]
    assert key == "task-00000-a1"
    assert [each for when, each in run.began if when >= at] == [key]
    assert run.executor.now == at + 1.0


def test_a_suspect_that_fails_alone_runs_in_parts(simulate: Any, task: Any) -> None:
    """Its parts run one at a time; those that are done before aren't run; the outcome says how many there are."""
    error = OutOfMemoryError("too large")
    run = simulate(
        lambda a: Fate(1.0, error=error) if a.work.id == "task-00000" else well(),
        slots=4, finished=frozenset({"task-00000.2of4"}),
    )  # fmt: skip
    outcome = run.run([task(0, 8, parts=4), task(1)])

    assert run.began[-3:] == [
        (2.0, "task-00000.1of4-a0"), (3.0, "task-00000.3of4-a0"), (4.0, "task-00000.4of4-a0"),
    ]  # fmt: skip
    assert outcome.split == {"task-00000": 4}
    assert outcome.quarantined == {}


def test_a_part_that_fails_is_set_aside_alone(simulate: Any, task: Any) -> None:
    """The other parts count."""
    bad = ("task-00000", "task-00000.3of4")
    run = simulate(
        lambda a: Fate(1.0, error=WorkerLostError("died")) if a.work.id in bad else well(), policy=QUARANTINE
    )
    outcome = run.run([task(0, 8, parts=4)])

    assert list(outcome.quarantined) == ["task-00000.3of4"]
    assert sorted(run.counted) == [f"task-00000.{part}of4-a0" for part in (1, 2, 4)]


def test_parts_that_are_set_aside_are_one_shard(simulate: Any, task: Any) -> None:
    """All four parts of one shard are within a budget of one; and of four shards, three done before, one isn't all."""
    for policy in (QUARANTINE, Policy(on_error="quarantine", max_failures=1)):
        run = simulate(always(WorkerLostError("died")), policy=policy, total=4)

        outcome = run.run([task(0, 8, parts=4)])

        assert len(outcome.quarantined) == 4


def test_a_shard_whose_other_parts_were_done_before_is_not_all_lost(simulate: Any, task: Any) -> None:
    """The only shard of the run: what an earlier driver did of it is published."""
    run = simulate(
        always(WorkerLostError("died")), policy=QUARANTINE, finished=frozenset({"task-00000.1of2"}),
        history={"task-00000": past("task-00000", "worker-lost", "worker-lost")},
    )  # fmt: skip

    outcome = run.run([task(0, 8, parts=2)])

    assert list(outcome.quarantined) == ["task-00000.2of2"]


def test_where_values_are_sent_back_nothing_is_cut(simulate: Any, task: Any) -> None:
    """Values of parts are nobody's result."""
    run = simulate(always(WorkerLostError("died")), policy=QUARANTINE, writes=False)
    outcome = run.run([task(0, parts=4), task(1)])

    assert (list(outcome.quarantined), outcome.split) == (["task-00000"], {})


def test_values_come_back_as_they_are(simulate: Any, task: Any) -> None:
    """Where nothing is written observers get the function's value."""
    run = simulate(lambda a: Fate(1.0, Valued(a.work.index * 10, {})), writes=False)
    run.run([task(index) for index in range(3)])

    assert run.values == {"task-00000": 0, "task-00001": 10, "task-00002": 20}


def test_what_is_set_aside_is_told_and_the_rest_goes_on(simulate: Any, task: Any) -> None:
    """With on_error="quarantine" a function that fails costs its own work only."""
    run = simulate(always(FunctionError("no", "mend"), only=3), policy=QUARANTINE)
    outcome = run.run([task(index) for index in range(8)])

    failure = outcome.quarantined["task-00003"]
    assert (failure.kind, failure.type, failure.message, failure.hint) == ("function", "FunctionError", "no", "mend")
    assert len(run.counted) == 7


@pytest.mark.parametrize(("budget", "total"), [(2, None), (0.25, 8), (0.25, None)])
def test_a_spent_budget_ends_the_run(simulate: Any, task: Any, budget: float, total: int | None) -> None:
    """The third failure is one too many of two: which and how many is in the message; then nothing is submitted."""
    policy = Policy(on_error="quarantine", max_failures=budget)
    run = simulate(lambda a: Fate(1.0, error=FunctionError(f"bad {a.work.index}")), 1, policy, total=total)

    with pytest.raises(RunError, match="3 of 8 works were set aside, more than max_failures") as caught:
        run.run([task(index) for index in range(8)])

    assert "task-00002 (FunctionError: bad 2)" in caught.value.message
    assert len(run.executor.began) == 3


def test_a_run_of_which_nothing_is_left_is_no_partial_one(simulate: Any, task: Any) -> None:
    """Without a budget any number may fail, but not all."""
    run = simulate(lambda _: Fate(1.0, error=FunctionError("bad")), policy=QUARANTINE)

    with pytest.raises(RunError, match="all of them"):
        run.run([task(index) for index in range(5)])


def test_a_full_store_ends_a_run_that_quarantines(simulate: Any, task: Any) -> None:
    """It is no work's fault."""
    run = simulate(always(StoreFullError("no space")), policy=QUARANTINE)

    with pytest.raises(StoreFullError):
        run.run([task(index) for index in range(5)])


def test_a_fraction_of_nobody_knows_what_is_refused(simulate: Any, task: Any) -> None:
    """Works that come one by one have no number."""
    run = simulate(by_bytes, policy=Policy(on_error="quarantine", max_failures=0.1))

    with pytest.raises(InputError, match="fraction"):
        run.run(iter([task(0)]), ordered=True)


def past(work: str, *kinds: str) -> list[Failure]:
    """What earlier drivers wrote down."""
    return [Failure(work, number, kind, "Error", "m") for number, kind in enumerate(kinds)]  # type: ignore[arg-type]


def test_a_resumed_run_goes_on_at_the_rung_it_stood_on(simulate: Any, task: Any) -> None:
    """A suspect alone, a split one in parts, a retried one at its next number."""
    history = {
        "task-00000": past("task-00000", "transient", "transient"),
        "task-00001": past("task-00001", "worker-lost"),
        "task-00002": past("task-00002", "worker-lost", "worker-lost"),
        "task-00002.1of2": past("task-00002.1of2", "transient"),
        "task-00003": past("task-00003", "function"),
    }
    run = simulate(lambda _: well(), slots=8, history=history)
    outcome = run.run([task(index, 1, parts=2) for index in range(5)])

    assert sorted(key for at, key in run.began if at == 0.0) == ["task-00000-a2", "task-00003-a1", "task-00004-a0"]
    assert [key for at, key in run.began if at > 0.0] == ["task-00001-a1", "task-00002.1of2-a1", "task-00002.2of2-a0"]
    assert outcome.split == {"task-00002": 2}


def test_retries_count_across_drivers(simulate: Any, task: Any) -> None:
    """Two of three were spent before."""
    run = simulate(always(StoreError("down")), history={"task-00000": past("task-00000", "transient", "transient")})

    with pytest.raises(StoreError):
        run.run([task(0)])

    assert [key for _, key in run.began] == ["task-00000-a2", "task-00000-a3"]


def slow(number: int, seconds: float) -> Callable[[Attempt], Fate]:
    """One work's first attempt takes so long; all others take a second a byte."""

    def fate(attempt: Attempt) -> Fate:
        return well(seconds if (attempt.work.index, attempt.number) == (number, 0) else attempt.work.bytes)

    return fate


def test_a_straggler_gets_one_attempt_beside_it(simulate: Any, task: Any) -> None:
    """Once nothing waits, after three times what its bytes take: the second attempt ends first, and counts."""
    run = simulate(slow(7, 1000.0), slots=4)
    run.run([task(index, 10) for index in range(8)])

    began = {key: at for at, key in run.began}
    assert began["task-00007-a1"] == began["task-00007-a0"] + 30.0
    assert run.executor.now == began["task-00007-a1"] + 10.0
    assert sorted(run.counted) == [*(f"task-{index:05d}-a0" for index in range(7)), "task-00007-a1"]


def test_a_large_shard_is_no_straggler(simulate: Any, task: Any) -> None:
    """Time is measured against bytes."""
    run = simulate(by_bytes, slots=2)
    run.run([task(0, 1000), *(task(index, 10) for index in range(1, 9))])

    assert len(run.executor.began) == 9


def test_seconds_are_too_few_for_a_second_attempt(simulate: Any, task: Any) -> None:
    """Below five seconds another attempt costs more than it saves."""
    run = simulate(slow(7, 4.9), slots=4)
    run.run([task(index, 1) for index in range(8)])

    assert len(run.executor.began) == 8


@pytest.mark.parametrize("policy", [Policy(speculate=False), Policy(deadline=300.0, speculate=False)])
def test_no_speculation_where_nobody_arbitrates(simulate: Any, task: Any, policy: Policy) -> None:
    """A store without conditional writes."""
    run = simulate(slow(7, 200.0), slots=4, policy=policy)
    run.run([task(index, 10) for index in range(8)])

    assert len(run.executor.began) == 8


def test_the_first_of_two_attempts_counts_and_the_other_is_not_heard(simulate: Any, task: Any) -> None:
    """The straggler comes first after all: its backup's end is nobody's business."""
    run = simulate(lambda a: well({(7, 0): 35.0, (7, 1): 100.0}.get((a.work.index, a.number), 10.0)), slots=4)
    run.run([task(index, 10) for index in range(8)])

    assert run.counted.count("task-00007-a0") == 1
    assert "task-00007-a1" not in run.counted


def test_a_failed_backup_leaves_the_straggler_alone(simulate: Any, task: Any) -> None:
    """One of two attempts fails: the other one decides."""

    def fate(attempt: Attempt) -> Fate:
        if (attempt.work.index, attempt.number) == (7, 1):
            return Fate(1.0, error=FunctionError("bad"))
        return slow(7, 60.0)(attempt)

    run = simulate(fate, slots=4)
    run.run([task(index, 10) for index in range(8)])

    assert ("failed", "task-00007-a1", "again") in run.events
    assert "task-00007-a0" in run.counted


def test_an_attempt_over_its_hard_deadline_is_ended(simulate: Any, task: Any) -> None:
    """Its worker is restarted, it gets another attempt, and then it is set aside; the rest isn't held up."""
    run = simulate(slow(0, math.inf), policy=Policy(hard_deadline=60.0))
    run.run([task(index, 10) for index in range(3)])

    assert ("failed", "task-00000-a0", "again") in run.events
    assert (60.0, "task-00000-a1") in run.began
    assert "task-00000-a1" in run.counted


def test_one_that_never_ends_is_given_up(simulate: Any, task: Any) -> None:
    """Twice over the hard deadline."""
    run = simulate(lambda a: Fate(math.inf) if a.work.index == 0 else well(), policy=Policy(hard_deadline=60.0))

    with pytest.raises(TaskTimeoutError, match=r"task-00000 took longer than its hard deadline of 60 s.*restarted"):
        run.run([task(index, 10) for index in range(3)])

    assert run.executor.now == 120.0


def test_an_engine_that_cannot_end_it_says_so(simulate: Any, task: Any) -> None:
    """Threads can't be stopped: the message says that it may run on, and which engine can."""
    run = simulate(
        lambda a: Fate(math.inf) if a.work.index == 0 else well(), 4, Policy(hard_deadline=60.0), kills=False
    )

    with pytest.raises(TaskTimeoutError, match="can't stop it") as caught:
        run.run([task(index) for index in range(3)])

    assert "dask" in str(caught.value.hint)


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
