"""Calls go to Dask together and results come back together; what happens to one of them is its own."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_engines.executors import open_executor
from lakeflow_io.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def executor(dask_client: Any) -> Iterator[Any]:
    """An executor on two workers."""
    with closing(open_executor(dask_client)) as opened:
        yield opened


@pytest.fixture
def messages(dask_client: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The keys that were sent, a list for each message."""
    sent: list[list[str]] = []
    original = dask_client.map

    def counted(*arguments: Any, key: list[str], **options: Any) -> Any:
        sent.append([each.rpartition("-")[0] for each in key])
        return original(*arguments, key=key, **options)

    monkeypatch.setattr(dask_client, "map", counted)
    return sent


def ended(executor: Any, count: int) -> dict[str, Any]:
    """So many completions, by key."""
    found: dict[str, Any] = {}
    while len(found) < count:
        completion = executor.next()
        if completion is not None:
            assert completion.key not in found
            found[completion.key] = completion
    return found


def test_many_calls_are_one_message_and_few_answers(
    executor: Any, dask_client: Any, messages: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hundred calls: sent once, fetched in far fewer requests, and each ends once with its own value."""
    asked: list[int] = []
    original = executor._results._values

    async def counted(keys: list[str]) -> Any:
        asked.append(len(keys))
        if len(asked) == 1:  # while it is under way all others end, however long that takes here
            await asyncio.gather(*(state.wait() for state in dask_client.futures.values()))
        return await original(keys)

    monkeypatch.setattr(executor._results, "_values", counted)
    for number in range(300):
        executor.submit(f"many-{number}", abs, -number)
    before = list(messages)

    found = ended(executor, 300)

    assert before == []
    assert messages == [[f"many-{number}" for number in range(300)]]
    assert {key: each.value for key, each in found.items()} == {f"many-{number}": number for number in range(300)}
    assert (sum(asked), len(asked) <= 10) == (300, True)


def test_one_that_fails_is_alone(executor: Any) -> None:
    """Every tenth of a hundred raises: each of these is told with its own error, and the others with their values."""

    def fail(x: int) -> int:
        if x % 10 == 0:
            raise StoreError(f"broken {x}", "mend it")
        return x

    for number in range(100):
        executor.submit(f"some-{number}", fail, number)
    found = ended(executor, 100)

    wrong = {key: each.error for key, each in found.items() if each.error is not None}
    assert {key: error.message for key, error in wrong.items()} == {
        f"some-{number}": f"broken {number}" for number in range(0, 100, 10)
    }
    assert all(isinstance(error, StoreError) for error in wrong.values())
    assert all(each.value == int(key[5:]) for key, each in found.items() if key not in wrong)


def test_what_was_not_sent_is_cancelled_here(executor: Any, messages: list[list[str]]) -> None:
    """Nobody hears of it: neither the cluster nor whoever waits."""
    for number in range(4):
        executor.submit(f"unsent-{number}", abs, number)
    executor.cancel("unsent-1")
    killed = executor.kill("unsent-2")

    found = ended(executor, 2)

    assert killed
    assert sorted(found) == ["unsent-0", "unsent-3"]
    assert [key for sent in messages for key in sent] == ["unsent-0", "unsent-3"]
    assert executor.next(0.0) is None


def test_what_was_submitted_first_runs_first(executor: Any, dask_client: Any) -> None:
    """Also of messages that come one right after the other: deadlines are counted on it."""

    def priorities(dask_scheduler: Any) -> dict[str, Any]:
        return {str(key).rpartition("-")[0]: task.priority for key, task in dask_scheduler.tasks.items()}

    names = [f"{'zyx'[number // 5]}-{number}" for number in range(15)]
    for number, name in enumerate(names):
        executor.submit(name, abs, number)
        if number % 5 == 4:
            executor._send()
    found: dict[str, Any] = {}
    while not found.keys() >= set(names):
        found = dask_client.run_on_scheduler(priorities)

    assert sorted(names, key=found.__getitem__) == names


def test_large_calls_go_by_themselves(executor: Any, messages: list[list[str]]) -> None:
    """Of two megabytes each: Dask warns of a message of ten, and warnings are errors here."""
    for number in range(6):
        executor.submit(f"large-{number}", len, bytes(2 * 2**20))

    found = ended(executor, 6)

    assert [each.value for each in found.values()] == [2 * 2**20] * 6
    assert len(messages) == 6
