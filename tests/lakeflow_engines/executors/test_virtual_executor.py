"""The fake executor is one: it keeps the seam's contract, on a clock of its own."""

from __future__ import annotations

import math

import pytest

from lakeflow_engines.executors import Fate, VirtualExecutor
from lakeflow_io.errors import InternalError


def seconds(_key: str, argument: float) -> Fate:
    """A call takes what its argument says."""
    return Fate(argument, value=argument)


def test_time_passes_as_calls_end() -> None:
    """Two at a time, first come, first run."""
    executor = VirtualExecutor(seconds, 2)
    for number, each in enumerate([5.0, 1.0, 1.0]):
        executor.submit(str(number), abs, each)

    ended = [(executor.next().key, executor.now) for _ in range(3)]

    assert ended == [("1", 1.0), ("2", 2.0), ("0", 5.0)]


def test_a_timeout_is_a_pause() -> None:
    """Nothing ends in time, or there is nothing to end."""
    executor = VirtualExecutor(seconds, 1)

    assert executor.next(3.0) is None
    executor.submit("a", abs, 10.0)
    assert executor.next(3.0) is None
    assert executor.now == 6.0


def test_what_is_cancelled_is_not_heard_of() -> None:
    """A call that runs keeps its slot; one that waits never begins."""
    executor = VirtualExecutor(seconds, 1)
    for key in "abc":
        executor.submit(key, abs, 2.0)
    executor.cancel("a")
    executor.cancel("b")

    ended = executor.next()

    assert (ended.key, executor.now) == ("c", 4.0)


def test_what_is_killed_gives_its_slot_back() -> None:
    """As a worker that is restarted does."""
    executor = VirtualExecutor(seconds, 1)
    executor.submit("a", abs, math.inf)
    executor.submit("b", abs, 1.0)

    assert executor.kill("a")
    assert executor.next().key == "b"


def test_waiting_for_nothing_is_a_mistake() -> None:
    """A scheduler that would hang says so."""
    executor = VirtualExecutor(seconds, 1)
    executor.submit("a", abs, math.inf)

    with pytest.raises(InternalError):
        executor.next()
