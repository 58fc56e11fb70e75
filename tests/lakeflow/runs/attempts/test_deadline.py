"""A soft deadline: raised inside the task, outside of what is masked, and never after it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from lakeflow.runs.attempts import deadline as deadlines
from lakeflow.runs.attempts.deadline import Deadline, Expired, run_within

if TYPE_CHECKING:
    from collections.abc import Callable


def spin(seconds: float) -> None:
    """Python code that takes so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Time runs only from where a task calls this, each time: it may get no processor on its way there."""
    places: list[str] = []

    class FromHere(threading.Event):
        """What a deadline waits by."""

        def wait(self, timeout: float | None = None) -> bool:
            """From the call on."""
            while not places and not self.is_set():
                time.sleep(0.001)
            places.clear()
            return super().wait(timeout)

    monkeypatch.setattr(deadlines, "Event", FromHere)
    return places.append


def test_a_task_that_never_ends_gets_an_exception(here: Callable[[str], None]) -> None:
    """Where it is: the traceback says so."""

    def loops(_: Deadline) -> None:
        here("in the loop")
        while True:
            pass

    with pytest.raises(Expired) as caught:
        run_within(0.05, loops)

    assert caught.traceback[-1].name == "loops"


def test_one_that_ends_in_time_returns() -> None:
    """And so does one that has all the time there is."""
    assert run_within(60.0, lambda _: "well") == "well"
    assert run_within(None, lambda _: "well") == "well"


def test_what_is_masked_is_left_at_its_end(here: Callable[[str], None]) -> None:
    """A write is never cut in the middle."""
    reached = []

    def writes(deadline: Deadline) -> None:
        with deadline.masked():
            here("masked")
            while not deadline.expired:
                pass
            spin(0.01)
            reached.append("the end of what is masked")
        reached.append("more")

    with pytest.raises(Expired):
        run_within(0.05, writes)

    assert reached == ["the end of what is masked"]


def test_masks_nest(here: Callable[[str], None]) -> None:
    """The outermost one decides."""
    reached = []

    def writes(deadline: Deadline) -> None:
        with deadline.masked():
            with deadline.masked():
                here("masked")
                while not deadline.expired:
                    pass
            reached.append("still masked")

    with pytest.raises(Expired):
        run_within(0.05, writes)

    assert reached == ["still masked"]


def test_a_task_that_swallows_it_gets_it_again(here: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare except is no way out."""
    monkeypatch.setattr(deadlines, "_AGAIN_SECONDS", 0.05)
    swallowed = []

    def stubborn(_: Deadline) -> None:
        while len(swallowed) < 3:
            try:
                here("in the handler's reach")
                while True:
                    pass
            except BaseException as error:  # noqa: BLE001
                swallowed.append(type(error))
        here("out of it")
        while True:
            pass

    with pytest.raises(Expired):
        run_within(0.05, stubborn)

    assert swallowed == [Expired] * 3


def test_nothing_is_raised_after_the_task() -> None:
    """Two hundred tasks that end just when their time is up: each ends well or is expired, and nothing comes later."""
    ended = []
    for number in range(200):
        try:
            run_within(0.002, lambda _, number=number: spin(0.0015 + number % 10 * 0.0001))
            ended.append("well")
        except Expired:
            ended.append("expired")
    spin(0.05)

    assert len(ended) == 200


def test_each_thread_has_its_own() -> None:
    """One task's end doesn't reach another thread."""
    ended: dict[str, str] = {}

    def task(name: str, seconds: float, limit: float) -> None:
        try:
            run_within(limit, lambda _: spin(seconds))
            ended[name] = "well"
        except Expired:
            ended[name] = "expired"

    threads = [threading.Thread(target=task, args=each) for each in (("short", 0.1, 30.0), ("long", 30.0, 0.05))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ended == {"short": "well", "long": "expired"}
