"""Requests that are slow or hang: hedged, given up, dropped when the scan ends."""

from __future__ import annotations

import gc
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import StoreError, ThrottledError
from lakeflow_io.reader import pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow_io.reader import Counters

NEVER_SECONDS = 1e9
HANG_SECONDS = 240


@pytest.mark.usefixtures("warmed")
def test_a_slow_request_is_hedged_and_the_loser_dropped(
    ask: Callable[..., Any], store: Any, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second request for the same bytes is sent beside a slow one; the first answer counts."""
    monkeypatch.setattr(pace, "_LEAST_HEDGE_SECONDS", 0.01)
    done = ask(70)

    slow, hedge = store.next(), store.next()
    hedge.succeed()

    assert (slow.start, slow.length) == (hedge.start, hedge.length)
    assert [store.bytes_at(70)] == [bytes(part) for part in done.get()]
    assert slow.dropped.wait(HANG_SECONDS)
    assert (counters.hedges, counters.retries) == (1, 0)


@pytest.mark.usefixtures("warmed")
@pytest.mark.parametrize("first", [0, 1])
def test_a_failure_of_one_of_two_does_not_matter(
    ask: Callable[..., Any], store: Any, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Where the slow request or its hedge fails, the other one's answer is taken."""
    monkeypatch.setattr(pace, "_LEAST_HEDGE_SECONDS", 0.01)
    done = ask(70)
    both = [store.next(), store.next()]

    both[first].fail(StoreError("cut"))
    both[1 - first].succeed()

    assert [store.bytes_at(70)] == [bytes(part) for part in done.get()]


@pytest.mark.usefixtures("warmed")
def test_a_stalled_request_is_given_up_and_sent_anew(
    ask: Callable[..., Any], store: Any, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What doesn't come for many times the usual time is dropped, and asked for on another connection."""
    store.on_drop = lambda: monkeypatch.setattr(pace, "_LEAST_STALL_SECONDS", NEVER_SECONDS)
    monkeypatch.setattr(pace, "_LEAST_STALL_SECONDS", 0.01)
    done = ask(70)

    stalled, again = store.next(), store.next()
    again.succeed()

    assert [store.bytes_at(70)] == [bytes(part) for part in done.get()]
    assert stalled.dropped.is_set()
    assert counters.retries == 1


@pytest.mark.usefixtures("warmed")
def test_a_store_that_never_answers_is_given_up(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """After eight stalls, each but the first with twice the patience of the one before, the scan is told."""
    monkeypatch.setattr(pace, "_LEAST_STALL_SECONDS", 0.001)
    monkeypatch.setattr(pace, "_STALL_FACTOR", 0.0)  # whatever the first answers took on this machine

    error = ask(70).get()

    assert type(error) is StoreError
    assert "s3://b/k stalled" in error.message
    assert "8 attempts, bytes 70-80" in error.message


def test_throttling_halves_the_number_once_for_all_that_was_in_flight(
    ask: Callable[..., Any], fetcher: Any, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many refusals at once are one sign; the next ones after a while are another."""
    now = [100.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    paced = fetcher._pace  # its limit shows nowhere else
    for number in range(8):
        ask(number)
    for each in [store.next() for _ in range(8)]:
        each.fail(ThrottledError("slow down"))
    again = [store.next() for _ in range(8)]

    assert paced.limit == 4
    now[0] += 1.0
    for each in again:
        each.fail(ThrottledError("slow down"))
    for _ in range(8):
        store.next()
    assert paced.limit == 2


def test_close_drops_requests_that_hang(
    ask: Callable[..., Any],
    fetcher: Any,
    store: Any,
    threads: Callable[[], list[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It returns although nothing was answered; the requests are dropped and nobody is told."""
    done = [ask(number) for number in range(20)]
    hanging = [store.next() for _ in range(8)]

    with caplog.at_level(logging.WARNING, "asyncio"):
        fetcher.close()
        gc.collect()

    assert all(each.dropped.is_set() for each in hanging)
    assert all(each.told.empty() for each in done)
    assert (threads(), store.arrived.empty(), caplog.records) == ([], True, [])


def test_what_is_asked_for_while_it_closes_is_not_begun(ask: Callable[..., Any], fetcher: Any, store: Any) -> None:
    """A decoder may ask for more columns at that moment: the request goes nowhere, and close returns."""
    ask(0)
    store.next()
    store.on_drop = lambda: ask(500)

    fetcher.close()

    assert store.arrived.empty()


@pytest.mark.usefixtures("warmed")
def test_losers_that_fail_are_not_reported_by_asyncio(
    ask: Callable[..., Any], fetcher: Any, store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of a request whose answer is no longer needed is nobody's business."""
    monkeypatch.setattr(pace, "_LEAST_HEDGE_SECONDS", 0.01)

    def complain() -> None:
        raise OSError("the connection was closed")

    store.on_drop = complain
    with caplog.at_level(logging.WARNING, "asyncio"):
        done = ask(70)
        _, hedge = store.next(), store.next()
        hedge.succeed()
        done.get()
        monkeypatch.setattr(pace, "_LEAST_HEDGE_SECONDS", NEVER_SECONDS)
        fetcher.close()
        gc.collect()

    assert caplog.records == []
