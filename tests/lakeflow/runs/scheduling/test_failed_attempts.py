"""Attempts that fail: tried again, alone, in parts, set aside; and when the whole run ends."""

from __future__ import annotations

from typing import Any

import pytest
from fates import always, by_bytes, fails, well

from lakeflow.runs.attempts.attempt import Valued
from lakeflow.runs.failures import Failure
from lakeflow.runs.policy import Policy
from lakeflow_engines.executors import Fate
from lakeflow_io.errors import (
    FunctionError,
    InputError,
    OutOfMemoryError,
    RunError,
    StoreError,
    StoreFullError,
    WorkerLostError,
)

QUARANTINE = Policy(on_error="quarantine")


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
