"""Two drivers of one run, in every order of their steps up to a bound, with a store and a catalog that lie.

A step is a request whose order can matter: a put that must be the first, a commit, a look at the table. Only one
driver runs at a time, and it goes on until the schedule hands over, so the same schedule gives the same run.
"""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, ServiceUnavailableError
from two_outputs import Setting

import lakeflow as lf
from lakeflow.runs.scheduling import ladder
from lakeflow_io.errors import StoreError
from lakeflow_io.iceberg import update
from lakeflow_io.storage.object_store import ObjectStoreTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# With the bound at 2, some 400 runs: `LAKEFLOW_SWITCHES=2`.
SWITCHES = int(os.environ.get("LAKEFLOW_SWITCHES", "1"))
LIES = {
    "commit": {
        "lost": CommitStateUnknownException("no answer"),
        "conflict": CommitFailedException("another commit was faster"),
        "unavailable": ServiceUnavailableError("503"),
    },
    "put": {"lost": StoreError("no answer"), "unavailable": StoreError("503")},
}
"""What a request that changes something may be answered, whether or not it did: all but "unavailable" come after it
has taken effect."""


class Drivers:
    """Runs drivers by turns.

    Args:
        schedule: How many steps each of them takes before the other one's turn; who has the last turn goes on to
            its end, and then the other one does.
        lies: By the number of the step, over both, what it is answered.
    """

    def __init__(self, schedule: list[int], lies: dict[int, str] | None = None) -> None:
        self.steps: list[tuple[int, str]] = []
        self.ends: dict[int, BaseException | None] = {}
        self._schedule, self._lies = list(schedule), lies or {}
        self._own = threading.local()
        self._turns = [threading.Semaphore(0), threading.Semaphore(0)]
        self._left = self._schedule.pop(0) if self._schedule else None

    def run(self, driver: Callable[[], Any]) -> None:
        """Two of them, to their ends."""
        threads = [threading.Thread(target=self._drive, args=(number, driver), daemon=True) for number in (0, 1)]
        for thread in threads:
            thread.start()
        self._turns[0].release()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), f"stuck after {self.steps}"

    def _drive(self, number: int, driver: Callable[[], Any]) -> None:
        self._turns[number].acquire()
        self._own.number = number
        try:
            driver()
            self.ends[number] = None
        except BaseException as error:  # noqa: BLE001  (whatever it is, the test looks at it)
            self.ends[number] = error
        finally:
            self._schedule.clear()
            self._left = None
            self._turns[1 - number].release()

    def step(self, kind: str, request: Callable[[], Any]) -> Any:
        """A request of whichever driver asks; others' threads pass."""
        number = getattr(self._own, "number", None)
        if number is None:
            return request()
        while self._left == 0:
            self._left = self._schedule.pop(0) if self._schedule else None
            self._turns[1 - number].release()
            self._turns[number].acquire()
        if self._left is not None:
            self._left -= 1
        lie = self._lies.get(len(self.steps))
        error = LIES.get(kind, {}).get(lie or "")
        self.steps.append((number, kind))
        if error is None:
            return request()
        if lie != "unavailable":
            request()
        raise error

    @contextmanager
    def guarding(self, catalog: Any) -> Iterator[None]:
        """Make requests of the catalog, and of any store, steps."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name, kind in [
                (ObjectStoreTransport, "put_if_absent", "put"),
                (catalog, "commit_table", "commit"),
                (catalog, "load_table", "look"),
            ]:
                patch.setattr(owner, name, self._guarded(getattr(owner, name), kind))
            yield

    def _guarded(self, original: Callable[..., Any], kind: str) -> Callable[..., Any]:
        return lambda *arguments, **options: self.step(kind, lambda: original(*arguments, **options))


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr(update, "_BACKOFF_BASE_SECONDS", 0.0)
    monkeypatch.setattr(ladder, "_BACKOFF_BASE_SECONDS", 0.0)


@pytest.fixture
def numbers() -> Iterator[int]:
    """Names for tables."""
    return itertools.count()


def steps_of_one(lake: lf.Lake, namespace: str, mode: str, outputs: int) -> int:
    """How many steps a driver takes that is alone."""
    setting, drivers = Setting(lake, namespace, 0, mode, outputs), Drivers([])
    with drivers.guarding(lake.catalog):
        drivers.run(setting.run)
    return sum(number == 0 for number, _ in drivers.steps)


def schedules(steps: int, switches: int) -> Iterator[list[int]]:
    """All ways to hand over at most so often."""
    yield []
    for first in range(steps + 1) if switches else ():
        for rest in schedules(steps, switches - 1):
            yield [first, *rest]


@pytest.mark.parametrize(("mode", "outputs"), [("append", 1), ("overwrite", 2)])
def test_in_whatever_order_two_drivers_take_their_steps(
    embedded: lf.Lake, namespace: str, mode: str, outputs: int
) -> None:
    """Both say that the run is done, and it was done once."""
    steps = steps_of_one(embedded, namespace, mode, outputs)

    for number, schedule in enumerate(schedules(steps, SWITCHES), 1):
        setting, drivers = Setting(embedded, namespace, number, mode, outputs), Drivers(schedule)
        with drivers.guarding(embedded.catalog):
            drivers.run(setting.run)

        assert drivers.ends == {0: None, 1: None}, schedule
        setting.check()


@pytest.mark.usefixtures("no_backoff")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    schedule=st.lists(st.integers(0, 25), max_size=4),
    lies=st.dictionaries(st.integers(0, 40), st.sampled_from(["lost", "conflict", "unavailable"]), max_size=3),
    mode=st.sampled_from(["append", "overwrite", "overwrite-partitions"]),
    outputs=st.sampled_from([1, 2]),
)
@example(schedule=[], lies=dict.fromkeys(range(40), "lost"), mode="append", outputs=1)
def test_a_store_and_a_catalog_that_lie(
    embedded: lf.Lake, namespace: str, numbers: Iterator[int], schedule: list[int],
    lies: dict[int, str], mode: str, outputs: int,
) -> None:  # fmt: skip
    """Whatever two drivers were told, and whether or not they gave up: the next one ends with each row once."""
    setting, drivers = Setting(embedded, namespace, next(numbers), mode, outputs), Drivers(schedule, lies)
    with drivers.guarding(embedded.catalog):
        drivers.run(setting.run)
    for error in drivers.ends.values():
        assert error is None or isinstance(error, lf.LakeflowError)

    setting.run()

    setting.check()
