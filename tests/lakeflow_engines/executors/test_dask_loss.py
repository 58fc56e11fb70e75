"""Dask workers that die, are ended or are stuck: each is told for what it is, and the others go on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import distributed
import pytest

from lakeflow_engines.executors import local_cluster, open_executor
from lakeflow_io.errors import ConfigError, OutOfMemoryError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WORKER_BYTES = 700 * 2**20


@pytest.fixture(scope="module")
def fragile() -> Iterator[Any]:
    """A cluster of our own, as `engine="dask"` starts it: its workers are killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_cluster, "memory_limit", lambda: 2 * _WORKER_BYTES)
        with local_cluster.local_cluster(2) as client:
            yield client


@pytest.fixture
def executor(fragile: Any) -> Iterator[Any]:
    """An executor on it, with all of its workers."""
    fragile.wait_for_workers(2)
    with closing(open_executor(fragile)) as opened:
        yield opened


def wait_for(executor: Any, count: int) -> list[Any]:
    """So many completions: a wait may end early where workers have come or gone."""
    ended = []
    while len(ended) < count:
        completion = executor.next()
        ended += [completion] if completion is not None else []
    return ended


def die(x: int) -> int:
    """Take the process down, as a crash in C code does."""
    if x == 0:
        os._exit(1)
    return x


@pytest.mark.timeout(120)
def test_a_killed_worker_is_a_worker_lost_error(executor: Any) -> None:
    """What ran when the process died ends so, once; what ran beside it and what comes later ends well."""
    for number in range(2):
        executor.submit(f"die-{number}", by_value(die), number)
    ended = {each.key: each for each in wait_for(executor, 2)}
    for number in range(2, 6):
        executor.submit(f"die-{number}", by_value(die), number)
    later = wait_for(executor, 4)

    assert isinstance(ended["die-0"].error, WorkerLostError)
    assert "die-0" in ended["die-0"].error.message
    assert [ended["die-1"].value, *sorted(each.value for each in later)] == [1, 2, 3, 4, 5]


@pytest.mark.timeout(120)
def test_a_worker_may_be_killed_with_results_that_are_being_fetched(
    executor: Any, fragile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight calls have ended, and some go with the process that holds their values: each is told once, and well."""
    from lakeflow_engines.executors.dask_results import DaskResults

    original, killed = DaskResults._values, list[int]()

    async def fetch(results: Any, keys: list[str]) -> Any:
        if not killed:
            await asyncio.gather(*(state.wait() for state in fragile.futures.values()))
            killed.append(next(iter((await fragile._run(os.getpid)).values())))
            os.kill(killed[0], signal.SIGKILL)
        return await original(results, keys)

    monkeypatch.setattr(DaskResults, "_values", fetch)
    for number in range(8):
        executor.submit(f"held-{number}", abs, -number)
    ended = wait_for(executor, 8)

    assert len(killed) == 1
    assert sorted((each.value, each.key) for each in ended) == [(number, f"held-{number}") for number in range(8)]


def leak(_: int) -> None:
    """Take memory until somebody ends this."""
    held = []
    while True:
        held.append(os.urandom(2**20) * 16)
        time.sleep(0.01)


@pytest.mark.timeout(120)
def test_a_leaking_worker_is_an_out_of_memory_error(executor: Any) -> None:
    """A nanny ends the worker at its limit: the message says that it was memory, and of which call."""
    executor.submit("leak-0", by_value(leak), 0)

    [ended] = wait_for(executor, 1)

    assert isinstance(ended.error, OutOfMemoryError)
    assert "leak-0" in ended.error.message


def stuck(path: str) -> int:
    """Wait in C code for a very long time, the first time."""
    from pathlib import Path

    if not Path(path).exists():
        Path(path).touch()
        time.sleep(1000)
    return 7


@pytest.mark.timeout(120)
def test_a_stuck_call_is_killed_with_its_worker(executor: Any, tmp_path: Path) -> None:
    """It isn't heard of again, and isn't run again; the worker comes back, and the next call runs."""
    path = tmp_path / "begun"
    executor.submit("stuck-0", by_value(stuck), str(path))
    while not path.exists():
        executor.next(0.05)
    before = path.stat().st_mtime

    killed = executor.kill("stuck-0")
    for number in range(4):
        executor.submit(f"after-{number}", abs, -number)
    ended = [(each.key, each.value) for each in wait_for(executor, 4)]

    assert killed
    assert sorted(ended) == [(f"after-{number}", number) for number in range(4)]
    assert path.stat().st_mtime == before


def by_value(function: Any) -> Any:
    """A copy that workers needn't import this file for."""
    import sys

    import cloudpickle

    module = sys.modules[function.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.loads(cloudpickle.dumps(function))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.timeout(120)
def test_slots_follow_workers(fragile: Any) -> None:
    """One worker is retired and another one comes: a wait ends early, and the slots have changed."""
    fragile.wait_for_workers(2)
    with closing(open_executor(fragile)) as executor:
        assert executor.slots == 2
        fragile.cluster.scale(3)
        while executor.slots != 3:
            assert executor.next(60.0) is None
        fragile.cluster.scale(2)
        while executor.slots != 2:
            assert executor.next(60.0) is None


def test_workers_that_do_not_start_are_the_scripts_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each runs an unguarded main script again, and ends; distributed says that nannies fail, and not why."""

    def fails(**_: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(distributed, "LocalCluster", fails)

    with pytest.raises(ConfigError, match=r"(?s)don't start.*__main__"), local_cluster.local_cluster(1):
        pass
