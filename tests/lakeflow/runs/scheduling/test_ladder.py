"""What comes after a failure, for every kind, on every rung, and after a driver that died."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.runs.failures import Failure
from lakeflow.runs.policy import Policy
from lakeflow.runs.scheduling.ladder import backoff_seconds, next_rung, standing
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ["transient", "lasting", "function", "out-of-memory", "timeout", "worker-lost"]
QUARANTINE = Policy(on_error="quarantine")


def fail(*kinds: str) -> list[Failure]:
    """One attempt after the other."""
    return [Failure("task", number, kind, "SomeError", "m") for number, kind in enumerate(kinds)]  # type: ignore[arg-type]


def climb(failures: Sequence[Failure], policy: Policy = QUARANTINE, *, part: bool = False, splits: bool = True) -> str:
    """The rung after these failures."""
    return next_rung(failures, policy, part=part, splits=splits)


@pytest.mark.parametrize(
    ("kinds", "then"),
    [
        (["transient"], "again"),
        (["transient"] * 3, "again"),
        (["transient"] * 4, "quarantined"),
        (["lasting"], "quarantined"),
        (["function"], "quarantined"),
        (["worker-lost"], "alone"),
        (["out-of-memory"], "alone"),
        (["worker-lost", "out-of-memory"], "split"),
        (["timeout"], "again"),
        (["timeout", "timeout"], "quarantined"),
        (["transient", "worker-lost"], "alone"),
        (["worker-lost", "transient"], "again"),
        (["worker-lost", "transient", "worker-lost"], "split"),
    ],
)
def test_each_kind_has_its_rungs(kinds: list[str], then: str) -> None:
    """The table at the top of the module, row by row."""
    assert climb(fail(*kinds)) == then


def test_what_cannot_be_cut_is_set_aside() -> None:
    """A part, and a work of one row group, have one rung less."""
    assert climb(fail("worker-lost", "worker-lost"), splits=False) == "quarantined"
    assert climb(fail("worker-lost"), part=True) == "quarantined"


def test_raise_is_the_default() -> None:
    """What would be quarantined ends the run where nobody asked for quarantine."""
    assert climb(fail("function"), Policy()) == "raised"


@pytest.mark.parametrize("name", ["StoreFullError", "AccessDeniedError", "ConfigError"])
def test_a_full_or_closed_store_is_no_fault_of_a_shard(name: str) -> None:
    """It ends the run in any mode, and so does a worker of another version: it would take shard after shard."""
    assert climb([Failure("task", 0, "lasting", name, "m")]) == "raised"


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=40), st.booleans(), st.booleans(), st.integers(0, 5))
def test_every_ladder_ends(kinds: list[str], part: bool, splits: bool, retries: int) -> None:  # noqa: FBT001
    """Whatever fails however often: after retries, two suspicions and two timeouts there is no rung left."""
    policy = Policy(retries=retries, on_error="quarantine")
    climbed: list[Failure] = []
    for failure in fail(*kinds):
        climbed.append(failure)
        then = climb(climbed, policy, part=part, splits=splits)
        if then in ("split", "quarantined"):
            break

    assert len(climbed) <= retries + 2 + 2


@given(st.lists(st.sampled_from(KINDS), max_size=12))
def test_a_new_driver_goes_on_where_the_old_one_stood(kinds: list[str]) -> None:
    """Standing after a history is what one driver would have come to, begun anew after each setting aside."""
    counting: list[Failure] = []
    then: str | None = None
    for failure in fail(*kinds):
        counting = [*counting, failure]
        then = climb(counting)
        if then == "quarantined":
            counting, then = [], None

    assert standing(fail(*kinds), QUARANTINE, part=False, splits=True) == (counting, then)


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_backoff_doubles_up_to_a_limit_and_is_jittered_in_full(count: int, seed: int) -> None:
    """Between nothing and 0.2 s x 2^(n-1), never more than 20 s."""
    waits = backoff_seconds(fail(*["transient"] * count), random.Random(seed))

    assert 0.0 <= waits <= min(20.0, 0.2 * 2 ** (count - 1))


def test_only_transient_failures_wait() -> None:
    """A timeout is tried again at once."""
    assert backoff_seconds(fail("timeout"), random.Random(0)) == 0.0


@pytest.mark.parametrize(
    "given_",
    [
        {"retries": -1}, {"retries": 1.5}, {"retries": True}, {"on_error": "ignore"}, {"max_failures": -1},
        {"max_failures": 1.5}, {"max_failures": "half"}, {"deadline": 0}, {"deadline": -3.0}, {"deadline": "1 h"},
        {"hard_deadline": float("inf")}, {"deadline": 10, "hard_deadline": 5}, {"max_failures": float("nan")},
    ],
)  # fmt: skip
def test_a_policy_without_sense_is_refused(given_: dict[str, Any]) -> None:
    """Each value is checked, and named."""
    with pytest.raises(InputError, match=list(given_)[-1]):
        Policy(**given_)


def test_the_hard_deadline_follows_the_soft_one() -> None:
    """Twice as long and half a minute, unless it is given."""
    assert Policy(deadline=60).hard_seconds == 150.0
    assert Policy(deadline=60, hard_deadline=70).hard_seconds == 70
    assert Policy(hard_deadline=70).hard_seconds == 70
    assert Policy().hard_seconds is None


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        (Policy(), 0),
        (QUARANTINE, 99),
        (Policy(on_error="quarantine", max_failures=3), 3),
        (Policy(on_error="quarantine", max_failures=0.05), 5),
        (Policy(on_error="quarantine", max_failures=1.0), 100),
    ],
)
def test_the_failure_budget_is_a_count_or_a_part(policy: Policy, most: int) -> None:
    """Of a hundred works."""
    assert policy.most_set_aside(100) == most
