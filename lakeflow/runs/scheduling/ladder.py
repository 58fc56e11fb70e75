"""What comes after a failed attempt.

| kind | then |
|---|---|
| `transient` | again, after a wait, `retries` times |
| `worker-lost`, `out-of-memory` | once alone, with nothing beside it; then in parts, one at a time |
| `timeout` | once more |
| `function`, `lasting` | nothing: it would fail the same way |

A store that is full or closed, and a worker whose lakeflow doesn't fit, end the run at once.
What has no rung left is set aside: it ends the run, or is left out of what the run publishes. A
worker that dies takes down whatever it runs, so its works are suspects: only alone does one show
that it was the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from lakeflow.runs.failures import Failure
    from lakeflow.runs.policy import Policy

__all__ = ["Then", "backoff_seconds", "next_rung", "standing"]

Then = Literal["again", "alone", "split", "quarantined", "raised"]

# Exponential backoff with full jitter: Brooker, "Exponential Backoff And Jitter", AWS, 2015.
_BACKOFF_BASE_SECONDS = 0.2
_BACKOFF_LIMIT_SECONDS = 20.0
_SUSPECT = ("worker-lost", "out-of-memory")
# What no shard can help: leaving out those that met it would publish less and less until nothing is left.
_OF_THE_RUN = ("AccessDeniedError", "ConfigError", "StoreFullError")


def next_rung(failures: Sequence[Failure], policy: Policy, *, part: bool, splits: bool) -> Then:
    """What is done about the last of a work's failures.

    Args:
        failures: Since it was last set aside; the newest is the last.
        policy: Of the run.
        part: Whether it is a part already, which runs alone from the beginning.
        splits: Whether it can be cut into parts.
    """
    last = failures[-1]
    count = sum(failure.kind == last.kind for failure in failures)
    if last.type in _OF_THE_RUN:
        return "raised"
    if last.kind == "transient" and count <= policy.retries:
        return "again"
    if last.kind == "timeout" and count == 1:
        return "again"
    if last.kind in _SUSPECT:
        suspect = sum(failure.kind in _SUSPECT for failure in failures)
        if suspect == 1 and not part:
            return "alone"
        if splits and not part:
            return "split"
    return "quarantined" if policy.on_error == "quarantine" else "raised"


def standing(
    failures: Sequence[Failure], policy: Policy, *, part: bool, splits: bool
) -> tuple[list[Failure], Then | None]:
    """Where a work stands after what an earlier driver wrote down of it.

    Returns:
        The failures that still count, and the rung that it goes on at: None for the first. A work that
        was set aside begins anew: somebody has started the run again, for a reason.
    """
    counting: list[Failure] = []
    then: Then | None = None
    for failure in failures:
        counting.append(failure)
        then = next_rung(counting, policy, part=part, splits=splits)
        if then in ("quarantined", "raised"):
            counting, then = [], None
    return counting, then


def backoff_seconds(failures: Sequence[Failure], jitter: random.Random) -> float:
    """How long to wait before a work whose last failure may pass is tried again."""
    if failures[-1].kind != "transient":
        return 0.0
    count = sum(failure.kind == "transient" for failure in failures)
    return jitter.uniform(0.0, min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2 ** (count - 1)))
