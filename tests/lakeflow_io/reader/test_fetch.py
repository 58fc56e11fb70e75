"""The requests of a scan: in which order they are sent, what is asked for again, what is told."""

from __future__ import annotations

import asyncio
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import (
    AccessDeniedError,
    ConfigError,
    CorruptFileError,
    InternalError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow_io.reader import Counters


def test_the_oldest_are_sent_first(ask: Callable[..., Any], store: Any) -> None:
    """Whatever the order in which they were asked for, those that are consumed first go first."""
    for number in range(8):
        ask(number)
    first = [store.next() for _ in range(8)]
    for order in (9, 5, 7, -1):
        ask(100 * order, order=order)

    for each in first:
        each.succeed()

    assert [store.next().start for _ in range(4)] == [-100, 500, 700, 900]


def test_eight_at_first_and_one_more_with_each_answer(ask: Callable[..., Any], store: Any, counters: Counters) -> None:
    """The number of requests in flight begins at 8 and doubles with the first round of answers."""
    for number in range(40):
        ask(number)

    first = [store.next() for _ in range(8)]
    with pytest.raises(Empty):
        store.arrived.get_nowait()
    for each in first:
        each.succeed()
    for _ in range(16):
        store.next()

    assert counters.concurrency == 16


def test_parts_come_in_their_order(ask: Callable[..., Any], store: Any) -> None:
    """Answers in any order give the parts in the order in which they were asked for, once."""
    done = ask(0, parts=3)
    sent = [store.next() for _ in range(3)]

    for number in (2, 0, 1):
        sent[number].succeed()

    assert [store.bytes_at(0), store.bytes_at(10), store.bytes_at(20)] == [bytes(part) for part in done.get()]
    assert done.told.empty()


@pytest.mark.parametrize("kind", [StoreError, ThrottledError])
def test_what_may_pass_is_asked_for_again(
    ask: Callable[..., Any], store: Any, counters: Counters, kind: type[StoreError]
) -> None:
    """A failure that may not come again is followed by the same request."""
    done = ask(70)

    store.next().fail(kind("s3://b/k: not now."))
    store.next().succeed()

    assert [store.bytes_at(70)] == [bytes(part) for part in done.get()]
    assert (counters.requests, counters.retries) == (2, 1)
    assert counters.throttled == (kind is ThrottledError)


@pytest.mark.parametrize(
    "kind", [AccessDeniedError, ObjectNotFoundError, StoreFullError, CorruptFileError, ConfigError]
)
def test_what_stays_the_same_is_not_asked_for_again(
    ask: Callable[..., Any], store: Any, counters: Counters, kind: type[StoreError]
) -> None:
    """Such a failure comes after one request, as it is, with the range."""
    done = ask(70)

    store.next().fail(kind("s3://b/k: no.", "do this."))
    error = done.get()

    assert type(error) is kind
    assert str(error) == "s3://b/k: no.\nWhere: bytes 70-80 of s3://b/k\nHint: do this."
    assert counters.requests == 1


@pytest.mark.parametrize("error", [ValueError("odd"), asyncio.CancelledError(), KeyError("k")])
def test_a_foreign_exception_becomes_ours(ask: Callable[..., Any], store: Any, error: BaseException) -> None:
    """What a transport must not raise, a cancellation of its own included, ends the fetch with an error of ours."""
    done = ask(70)

    store.next().fail(error)
    told = done.get()

    assert type(told) is InternalError
    assert type(error).__name__ in told.message
    assert "bytes 70-80 of s3://b/k" in told.message


def test_ten_attempts(ask: Callable[..., Any], store: Any, counters: Counters) -> None:
    """A failure that does come again each time is told after the tenth."""
    done = ask(70)
    shared = StoreError("s3://b/k: not now.")

    for _ in range(10):
        store.next().fail(shared)
    error = done.get()

    assert str(error) == "s3://b/k: not now.\nWhere: 10 attempts, bytes 70-80 of s3://b/k"
    assert str(shared) == "s3://b/k: not now."
    assert (counters.requests, counters.retries) == (10, 9)


def test_done_is_called_once_however_many_fail(ask: Callable[..., Any], store: Any) -> None:
    """The first failure is told, and neither the others nor the parts that come."""
    done, other = ask(0, parts=3), ask(500)
    sent = [store.next() for _ in range(4)]

    sent[1].fail(ObjectNotFoundError("gone"))
    sent[0].fail(AccessDeniedError("no"))
    sent[2].succeed()
    sent[3].succeed()

    assert isinstance(done.get(), ObjectNotFoundError)
    other.get()
    assert done.told.empty()


def test_parts_of_a_failed_batch_are_not_sent_any_more(ask: Callable[..., Any], store: Any) -> None:
    """Once one part has failed, those of its batch that are still waiting aren't asked for."""
    done = ask(0, parts=12)
    later = ask(900, order=1)
    sent = [store.next() for _ in range(8)]

    sent[0].fail(ObjectNotFoundError("gone"))
    done.get()

    following = store.next()
    assert following.start == 900
    following.succeed()
    later.get()
