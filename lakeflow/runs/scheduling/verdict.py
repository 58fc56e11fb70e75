"""What failures mean for the whole run: it goes on, or it stops, and with which error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.runs.work import whole_id
from lakeflow_io.errors import InputError, RunError, RunInterruptedError

if TYPE_CHECKING:
    from lakeflow.runs.attempts.attempt import Job
    from lakeflow.runs.failures import Failure
    from lakeflow.runs.policy import Policy
    from lakeflow.runs.scheduling.ladder import Then
    from lakeflow.runs.scheduling.queue import Queue

__all__ = ["Verdict"]

_SHOWN = 5  # failures in a message


class Verdict:
    """Counts what is set aside.

    Args:
        policy: Of the run.
        total: Works of the whole run; None where nobody knows.

    Raises:
        InputError: the policy's failure budget is a fraction, of nobody knows what.
    """

    def __init__(self, policy: Policy, total: int | None) -> None:
        if total is None and isinstance(policy.max_failures, float):
            raise InputError(
                f"max_failures={policy.max_failures} is a fraction, and nobody knows how many works there are.",
                "give a count, or works that have a length.",
            )
        self._policy, self._total = policy, total
        self._raised: list[Failure] = []
        self._aside: set[str] = set()
        """Works that were set aside, wholly or in part."""
        self.quarantined: dict[str, Failure] = {}

    def add(self, failure: Failure, then: Then) -> None:
        """Take note of a failed attempt."""
        if then == "raised":
            self._raised.append(failure)
        elif then == "quarantined":
            self.quarantined[failure.shard] = failure
            self._aside.add(whole_id(failure.shard))

    @property
    def stops(self) -> bool:
        """Whether nothing new is to begin."""
        return bool(self._raised) or self._spent

    def check(self, queue: Queue, job: Job | None, *, interrupted: bool) -> None:
        """Raise what the run came to, once nothing runs any more; return where it came to its end.

        Args:
            queue: What is left.
            job: Of the attempts; None where there was none.
            interrupted: Whether somebody pressed Ctrl-C.

        Raises:
            LakeflowError: the first failure that a run raises.
            RunError: too many works were set aside.
            RunInterruptedError: works are left.
        """
        if self._raised:
            first, *others = self._raised
            error = first.raised()
            if others:
                error.add_note(f"The same run: {_listed(others)}")
            raise error
        aside = len(self._aside)
        total = queue.taken if self._total is None else self._total
        if self._spent or (aside and not queue.finished and aside >= total):
            allowed = "all of them" if not self._spent else f"more than max_failures={self._policy.max_failures}"
            raise RunError(
                f"{aside} of {total} works were set aside, {allowed}: {_listed(list(self.quarantined.values()))}",
                "mend what they have in common and run with the same run id: finished shards stay done.",
            )
        if interrupted and not queue.empty:
            raise _interrupted(queue, job)

    @property
    def _spent(self) -> bool:
        if self._policy.max_failures is None:
            return False  # any number less than all, which only the end tells
        return len(self._aside) > self._policy.most_set_aside(self._total or 0)


def _interrupted(queue: Queue, job: Job | None) -> RunInterruptedError:
    name = "The run" if job is None else f"Run {job.run_id}"
    if job is None or not job.writers:
        hint = "run it again from the beginning: values that aren't written are kept nowhere."
    else:
        command = f"lakeflow resume {job.run_id}{job.shell_options}"
        hint = f"`{command}`, or the same call with this run_id=, goes on; finished works stay done."
    return RunInterruptedError(
        f"{name} was interrupted: {queue.finished} works were finished, and what ran has ended.", hint
    )


def _listed(failures: list[Failure]) -> str:
    shown = "; ".join(f"{each.shard} ({each.type}: {each.message})" for each in failures[:_SHOWN])
    more = len(failures) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
