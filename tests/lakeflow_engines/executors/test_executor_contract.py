"""One contract, every executor: what is submitted ends once, with its value or its error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_engines.executors import open_executor
from lakeflow_io.errors import InputError, RunError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINES = ["serial", "threads", "dask-client", "dask-address"]


@pytest.fixture(params=ENGINES)
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each executor; Dask over a running cluster, by its client and by its address."""
    engine: Any = request.param
    if engine.startswith("dask"):
        client = request.getfixturevalue("dask_client")
        engine = client if engine == "dask-client" else client.scheduler.address
    with closing(open_executor(engine, slots=2)) as opened:
        yield opened


def test_every_call_ends_once_with_its_value(executor: Any) -> None:
    """Twenty calls give twenty completions, each under its own key."""

    def square(x: int) -> int:
        return x * x

    for number in range(20):
        executor.submit(f"square-{executor.name}-{id(executor)}-{number}", square, number)

    ended = [executor.next() for _ in range(20)]

    assert {int(each.key.rpartition("-")[2]): each.value for each in ended} == {n: n * n for n in range(20)}
    assert all(each.error is None for each in ended)


def test_an_error_is_an_outcome(executor: Any) -> None:
    """What a call raises comes back as it is, and calls after it still run."""

    def fail(x: int) -> int:
        if x == 1:
            raise StoreError(f"broken {x}", "mend it")
        return x

    for number in range(3):
        executor.submit(f"fail-{id(executor)}-{number}", fail, number)

    ended = {each.key[-1]: each for each in (executor.next() for _ in range(3))}

    assert isinstance(ended["1"].error, StoreError)
    assert ended["1"].error.hint == "mend it"
    assert [ended["0"].value, ended["2"].value] == [0, 2]


def test_an_error_of_any_kind_is_an_outcome(executor: Any) -> None:
    """Exceptions that are not ours travel too."""

    def divide(x: int) -> float:
        return 1 / x

    executor.submit(f"divide-{id(executor)}", divide, 0)

    assert isinstance(executor.next().error, ZeroDivisionError)


def test_a_signal_is_handled_within_a_wait() -> None:
    """Also one that doesn't wake the waiting thread, as one that comes just before the wait doesn't."""
    handled = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())

    def call(_: int) -> bool:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # interrupts this thread, not the main one
        return handled.wait(30)

    try:
        with closing(open_executor("threads", slots=1)) as opened:
            opened.submit("signal", call, 0)
            assert opened.next().value
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_wait_has_an_end(executor: Any) -> None:
    """With nothing to wait for, a timeout is a pause."""
    assert executor.next(0.01) is None


def test_where_nobody_waits_a_serial_executor_runs_nothing() -> None:
    """Whoever asks what has ended, because a run stops, begins nothing by that."""
    ran: list[int] = []
    executor = open_executor("serial")
    executor.submit("one", ran.append, 1)

    before = executor.next(0.0), list(ran)
    ended = executor.next()

    assert before == (None, [])
    assert (ended is not None and ended.key, ran) == ("one", [1])


def test_what_is_cancelled_is_not_heard_of(executor: Any) -> None:
    """Whether it has begun or not: only the others are reported, and those that come later run."""
    for number in range(6):
        executor.submit(f"cancel-{id(executor)}-{number}", abs, number)
    for number in (0, 3, 5):
        executor.cancel(f"cancel-{id(executor)}-{number}")
    executor.cancel("no such call")
    executor.submit(f"cancel-{id(executor)}-6", abs, 6)

    ended = [executor.next() for _ in range(4)]

    assert sorted(each.value for each in ended) == [1, 2, 4, 6]
    assert executor.next(0.05) is None


def test_memory_is_known(executor: Any) -> None:
    """What all calls may use together."""
    assert executor.memory > 2**28


def test_slots_are_known(executor: Any) -> None:
    """A scheduler learns how many calls run at one time."""
    assert executor.slots == (1 if executor.name == "serial" else 2)


def test_closing_forgets_what_has_not_begun(executor: Any) -> None:
    """An executor with calls under way closes; twice is no error."""
    for number in range(5):
        executor.submit(f"late-{id(executor)}-{number}", abs, -number)

    executor.close()
    executor.close()


@pytest.mark.timeout(240)
def test_dask_starts_workers_of_its_own() -> None:
    """`engine="dask"` runs calls in other processes, and they are gone after close."""

    def pid(_: int) -> int:
        return os.getpid()

    with closing(open_executor("dask", slots=2)) as executor:
        for number in range(4):
            executor.submit(f"pid-{number}", pid, number)
        pids = {executor.next().value for _ in range(4)}

    assert os.getpid() not in pids
    assert not any(alive(each) for each in pids)


def alive(pid: int) -> bool:
    """Tell whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_thread_whose_call_never_ends_is_left_behind() -> None:
    """It can't be stopped, so its place is taken by another one, and closing doesn't wait for it."""
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def stuck(_: int) -> None:
        begun.set()
        released.wait()
        ended.set()

    executor = open_executor("threads", slots=1)
    executor.submit("stuck", stuck, 0)
    begun.wait()
    killed = executor.kill("stuck")
    executor.cancel("stuck")
    executor.submit("next", abs, -3)
    completion = executor.next()
    executor.close()
    still = not ended.is_set()
    released.set()

    assert (killed, completion.value, still) == (False, 3, True)


def test_a_client_that_was_given_stays_open(dask_client: Any) -> None:
    """Closing an executor leaves the caller's own client connected."""
    open_executor(dask_client).close()

    assert dask_client.status == "running"


@pytest.mark.parametrize("engine", ["spark", "", 7, None, object()])
def test_an_unknown_engine_is_refused(engine: Any) -> None:
    """A name that is no engine is answered with those that are."""
    with pytest.raises(InputError, match="No engine") as caught:
        open_executor(engine)

    assert "dask" in str(caught.value.hint)


def test_an_executor_of_ones_own_is_taken() -> None:
    """Anything that fits the seam is used as it is."""
    own = open_executor("serial")

    assert open_executor(own) is own


SCRIPT = """
from lakeflow_engines.executors import dask, open_executor
from lakeflow_io.errors import LakeflowError
dask._CONNECT_SECONDS = 1
try:
    open_executor("tcp://127.0.0.1:9")
except LakeflowError as error:
    print(type(error).__name__, "127.0.0.1:9" in error.message)
"""


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    """Nobody listens: a RunError names the address. In a process of its own, since Dask's client logs late."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=True)

    assert (f"{RunError.__name__} True\n") == done.stdout
