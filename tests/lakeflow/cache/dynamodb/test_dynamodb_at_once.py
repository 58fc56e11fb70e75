"""Pushers and readers of one cache in DynamoDB, at once: every step of one with all of another in between."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from reading_meanwhile import seen_whole

import lakeflow.cache.dynamodb.reader as reader_module
from lakeflow.cache import Cache
from lakeflow.cache.dynamodb import DynamoDBCache, push
from lakeflow_io.errors import CommitConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faulty_dynamodb import Request


pytestmark = pytest.mark.usefixtures("one_session")


ROWS = 30
"""Two batches."""


class Held:
    """Holds the n-th request through the proxy until it is let go."""

    def __init__(self, places: Any, number: int) -> None:
        self._number = len(places.faulty.requests) + number
        self.came = threading.Event()
        self.go = threading.Event()
        places.faulty.act = self._act

    def _act(self, request: Request) -> Any:
        if request.number == self._number:
            self.came.set()
            assert self.go.wait(60)
        if request.operation != "BatchGetItem":
            return None
        ((_, asked),) = request.body["RequestItems"].items()
        pointer = [key for key in asked["Keys"] if key["pk"]["S"] == "scores"]
        # No snapshot: the pointer is answered first, and rows with the next request.
        return ("leave", len(asked["Keys"]) - 1) if pointer else None


def at_every_request(places: Any, act: Callable[[], Any], between: Callable[[], Any]) -> Iterator[Any]:
    """Do something as often as it sends requests, holding another one of them while something else happens.

    Yields:
        What it returned or raised, each time.
    """
    number = 0
    while True:
        held, outcome = Held(places, number), []

        def run(outcome: list[Any] = outcome) -> None:
            try:
                outcome.append(act())
            except BaseException as error:  # noqa: BLE001  (it is what the test looks at)
                outcome.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while not held.came.wait(0.002) and thread.is_alive():
            pass
        reached = held.came.is_set()
        try:
            if reached:
                between()
        finally:
            held.go.set()
            thread.join()
        yield outcome[0]
        if not reached:
            return
        number += 1


def tags(reader: DynamoDBCache) -> set[str | None]:
    """Of all rows."""
    return set(reader.get_many(range(ROWS))["tag"].to_pylist())


@pytest.mark.parametrize("what", ["another version", "the same version", "a rollback"])
def test_a_pusher_that_stood_still_does_no_harm(rows_of: Any, tmp_path: Path, places: Any, what: str) -> None:
    """One is held at each of its requests, until its lease has ended and another has pushed; then it goes on.

    It fails, or has nothing to do, unless it had no lease yet: what the other pushed is current and whole. In the
    end, two versions are in the table and nothing else.
    """
    cache = Cache("scores", tmp_path, keep=1000)
    numbers = iter(range(1000))

    def load() -> None:
        cache.load(rows_of(f"v{next(numbers)}", ROWS), key="id")

    def other() -> None:
        places.expire_lease()
        if what == "another version":
            load()
        elif what == "a rollback":
            cache.rollback(oldest)
        push(cache, places.url)

    for _ in range(2):
        load()
        push(cache, places.url)
    reader, lost, steps = DynamoDBCache("scores", places.url), 0, 0
    oldest = places.pushed()[-1]
    load()
    mine = cache.get(0)["tag"]
    for outcome in at_every_request(places, lambda: push(cache, places.faulty_url), other):
        assert isinstance(outcome, CommitConflictError) or outcome.version, outcome
        assert tags(reader) == {mine if steps == 0 else cache.get(0)["tag"]}
        lost += isinstance(outcome, CommitConflictError)
        steps += 1
        oldest = places.pushed()[-1]
        load()
        mine = cache.get(0)["tag"]
    places.faulty.act = lambda _: None
    for _ in range(2):
        push(cache, places.url)
        load()

    assert steps > 10
    assert lost > 5
    assert len(places.items()) == 2 * ROWS + 3


@pytest.mark.parametrize("pushes", [1, 2, 3])
def test_a_reader_that_is_held_sees_one_whole_version(rows_of: Any, cache: Cache, places: Any, pushes: int) -> None:
    """At each of its requests, while the pointer moves once, or so often that the rows it asks for are removed."""
    numbers = iter(range(1000))

    def publish() -> None:
        cache.load(rows_of(f"v{next(numbers)}", ROWS), key="id")
        push(cache, places.url)

    def between() -> None:
        for _ in range(pushes):
            publish()

    publish()
    reader = DynamoDBCache("scores", places.faulty_url)
    reads: list[Callable[[], Any]] = [
        lambda: tags(DynamoDBCache("scores", places.faulty_url)),
        lambda: tags(reader),
        lambda: {reader.get(7)["tag"]},
        lambda: {reader.get(ROWS, "none")},
    ]
    for read in reads:
        read()
        before = cache.get(0)["tag"]
        for outcome in at_every_request(places, read, between):
            now = cache.get(0)["tag"]
            assert outcome in ({before}, {now}, {"none"}), outcome
            before = now
    assert tags(reader) == {cache.get(0)["tag"]}


def test_readers_see_one_whole_version_while_others_are_pushed(
    rows_of: Any, cache: Cache, places: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request mixes versions or misses a row, though it takes several requests to the table."""
    monkeypatch.setattr(reader_module, "_BATCH_ITEMS", 10)
    cache.load(rows_of("first", ROWS), key="id")
    push(cache, places.url)
    readers = [DynamoDBCache("scores", url) for url in (places.url, f"{places.url}&max_age=0.05")]

    def publish(number: int) -> None:
        cache.load(rows_of(f"v{number}", ROWS), key="id")
        push(cache, places.url)

    seen_whole([partial(tags, reader) for reader in readers], publish, times=6, least=3)
