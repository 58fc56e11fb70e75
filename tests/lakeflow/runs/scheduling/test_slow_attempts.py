"""Attempts that take long: stragglers get a second one beside them, hard deadlines end them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from fates import by_bytes, well

from lakeflow.runs.policy import Policy
from lakeflow_engines.executors import Fate
from lakeflow_io.errors import (
    FunctionError,
    TaskTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.runs.attempts.attempt import Attempt


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
