"""Which attempt runs when: the largest shard first, few in flight, transient failures again.

Only a little more than the executor can run is ever submitted: a worker that dies takes down what
was assigned to it, and a driver that stops has little to call back.
"""

from __future__ import annotations

import heapq
import logging
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import (
    AccessDeniedError,
    CommitConflictError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    WorkerLostError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.runs.attempt import Attempt
    from lakeflow_engines.executors import Completion, Executor

__all__ = ["run_all"]

_log = logging.getLogger("lakeflow.runs")

# Calls submitted per slot: the surplus hides the way to a worker and back.
_WINDOW_PER_SLOT = 1.1
_LASTING = (AccessDeniedError, ObjectNotFoundError, StoreFullError, CommitConflictError)
# Exponential backoff with full jitter: Brooker, "Exponential Backoff And Jitter", AWS, 2015.
_BACKOFF_BASE_SECONDS = 0.2
_BACKOFF_LIMIT_SECONDS = 20.0


def run_all(
    executor: Executor,
    attempts: Sequence[Attempt],
    retries: int,
    again: Callable[[Attempt], Attempt],
    on_value: Callable[[Attempt, Any], None],
) -> None:
    """Run one attempt of every shard, and another after a failure that may pass.

    Args:
        executor: Where they run; `run_attempt` must be importable there.
        attempts: First attempts.
        retries: How many more a shard gets when the store fails or its worker dies.
        again: The next attempt after a failed one.
        on_value: Called with each result, in the order they end.

    Raises:
        LakeflowError: the first failure that doesn't pass. What runs is waited for when the executor
            is closed, and what has ended stays done.
    """
    from lakeflow.runs.attempt import run_attempt

    waiting = deque(sorted(attempts, key=lambda attempt: (-attempt.shard.bytes, attempt.shard.index)))
    delayed: list[tuple[float, int, Attempt]] = []
    running: dict[str, Attempt] = {}
    window = max(executor.slots + 1, int(executor.slots * _WINDOW_PER_SLOT))
    jitter = random.Random(0)  # noqa: S311  (spreads load; keeps runs repeatable)
    while waiting or delayed or running:
        while delayed and delayed[0][0] <= time.monotonic():
            waiting.appendleft(heapq.heappop(delayed)[2])
        while waiting and len(running) < window:
            attempt = waiting.popleft()
            running[attempt.key] = attempt
            executor.submit(f"foreach-{attempt.key}", run_attempt, attempt)
        if not running:
            time.sleep(max(0.0, delayed[0][0] - time.monotonic()))
            continue
        completion = executor.next()
        attempt = running.pop(completion.key.removeprefix("foreach-"))
        if completion.error is None:
            on_value(attempt, completion.value)
        else:
            _raise_unless_transient(attempt, completion, retries)
            limit = min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt.number)
            next_attempt = again(attempt)
            heapq.heappush(delayed, (time.monotonic() + jitter.uniform(0, limit), attempt.shard.index, next_attempt))


def _raise_unless_transient(attempt: Attempt, completion: Completion, retries: int) -> None:
    error = completion.error
    transient = isinstance(error, StoreError | WorkerLostError) and not isinstance(error, _LASTING)
    if error is not None and (not transient or attempt.number >= retries):
        raise error
    _log.warning("%s attempt %d failed, will run again: %s", attempt.shard.id, attempt.number, error)
