"""Metadata files whose requests stall, fail, or are answered at once."""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import ObjectNotFoundError, StoreError
from lakeflow_io.storage import hedged
from lakeflow_io.storage.hedged import get_hedged

if TYPE_CHECKING:
    from collections.abc import Iterator


class Store:
    """Answers its n-th request as the n-th fate says: bytes, an error, or None, which stalls."""

    def __init__(self, *fates: bytes | Exception | None) -> None:
        self.fates, self.asked = fates, 0
        self.late: bytes | Exception = b"late"
        self.released = threading.Event()
        self._lock = threading.Lock()

    def get(self, uri: str) -> memoryview:
        """As a transport's."""
        del uri
        with self._lock:
            fate, self.asked = self.fates[self.asked], self.asked + 1
        if fate is None:
            self.released.wait()
            fate = self.late
        if isinstance(fate, Exception):
            raise fate
        return memoryview(fate)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A maker of stores; nothing is known of any, and patience is short."""
    monkeypatch.setattr(hedged, "_stores", {})
    monkeypatch.setattr(hedged, "_UNKNOWN_SECONDS", 0.0)
    monkeypatch.setattr(hedged, "_LEAST_SECONDS", 0.01)
    made: list[Store] = []

    def make(*fates: bytes | Exception | None) -> Any:
        made.append(Store(*fates))
        return made[-1]

    yield make
    for each in made:
        each.released.set()


@pytest.mark.parametrize("stalls", [0, 1, 2])
def test_an_answer_is_not_kept_waiting(stores: Any, stalls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of up to three requests, those that stall are passed by; an answer in time is the only request."""
    if not stalls:
        monkeypatch.setattr(hedged, "_LEAST_SECONDS", 60.0)
    store = stores(*[None] * stalls, b"data")

    assert bytes(get_hedged(store, "s3://b/m.avro")) == b"data"
    assert store.asked == stalls + 1


def release_after_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stalls goes on once the error of another request has been heard; there is no third request."""
    monkeypatch.setattr(hedged, "_REQUESTS", len(store.fates))  # which would be sent where the second one is slow

    class Answers(Queue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
            answer = super().get(block, timeout)
            if isinstance(answer[0], Exception):
                store.released.set()
            return answer

    monkeypatch.setattr(hedged, "SimpleQueue", Answers)


def test_an_error_of_one_is_no_error_while_another_may_answer(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one stalls, the second one fails, then the first one is answered."""
    store = stores(None, StoreError("no"))
    release_after_error(store, monkeypatch)

    assert bytes(get_hedged(store, "s3://b/m.avro")) == b"late"
    assert store.asked == 2


def test_an_error_comes_at_once(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't there is asked for once."""
    monkeypatch.setattr(hedged, "_LEAST_SECONDS", 60.0)
    store = stores(ObjectNotFoundError("gone"))

    with pytest.raises(ObjectNotFoundError, match="gone"):
        get_hedged(store, "s3://b/m.avro")

    assert store.asked == 1


def test_what_every_request_meets_is_raised(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that stalls and fails in the end, and another one that fails: the error that came last."""
    store = stores(None, StoreError("refused"))
    store.late = StoreError("closed")
    release_after_error(store, monkeypatch)

    with pytest.raises(StoreError, match="closed"):
        get_hedged(store, "s3://b/m.avro")


def test_files_of_this_machine_are_read_in_this_thread(stores: Any) -> None:
    """There is nothing to wait for."""
    threads: list[int] = []
    store = stores(b"data")
    get = store.get
    store.get = lambda uri: (threads.append(threading.get_ident()), get(uri))[1]

    assert bytes(get_hedged(store, "file:///m.avro")) == b"data"
    assert threads == [threading.get_ident()]


def test_what_is_usual_is_learnt(stores: Any) -> None:
    """Each store's own answers tell; another one's don't."""
    get_hedged(stores(b"data"), "s3://b/m.avro")
    get_hedged(stores(b"data"), "gs://b/m.avro")

    assert hedged._stores.keys() == {"s3://b", "gs://b"}
    assert all(0 < store.usual < 1 for store in hedged._stores.values())


def test_a_slow_link_is_not_made_slower(stores: Any) -> None:
    """Where all requests are slow, few are sent twice."""
    slow = [stores(None, None, None) for _ in range(40)]
    threads = [threading.Thread(target=get_hedged, args=(store, "s3://b/m.avro")) for store in slow]
    for each in threads:
        each.start()
    while sum(known.hedges for known in hedged._stores.values()) < 2:
        threading.Event().wait(0.01)
    for each in slow:
        each.released.set()
    for each in threads:
        each.join()

    assert 2 <= sum(store.asked for store in slow) - 40 <= 4
