"""Credentials are renewed early enough, once for all threads, and not asked for needlessly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import CatalogError, ConfigError, StoreError
from lakeflow_io.storage.credentials import FreshProperties

if TYPE_CHECKING:
    from collections.abc import Mapping


def _keys(number: int, ends_at: float) -> dict[str, str]:
    return {
        "s3.access-key-id": f"key{number}",
        "s3.secret-access-key": "hunter2-s3cr3t",
        "s3.session-token": f"token{number}",
        "s3.session-token-expires-at-ms": str(round(ends_at * 1000)),
    }


class _Source:
    """Counts how often it is asked; its keys live `life` seconds of the test's clock."""

    def __init__(self, life: float) -> None:
        self.now = 1_000_000.0
        self.life = life
        self.asked = 0
        self.fails = False

    def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        if self.fails:
            raise CatalogError("the catalog is down.")
        return _keys(self.asked, self.now + self.life)


@given(life=st.floats(1, 40_000), steps=st.lists(st.floats(0, 5_000), max_size=20))
def test_what_is_given_is_always_good(life: float, steps: list[float]) -> None:
    """Whatever the pace of use: keys are good when given, renewed early, and not asked for needlessly."""
    source = _Source(life)
    fresh = FreshProperties(_keys(0, source.now + life), source, lambda: source.now)

    for step in steps:
        source.now += step
        _, until = fresh.current()
        assert until.timestamp() - source.now >= min(300, life / 4) - 1e-2
    assert source.asked <= sum(steps) / (0.74 * life) + 1


def test_many_threads_ask_once() -> None:
    """Thirty threads that find the keys over wait for one answer."""
    source = _Source(3600)
    fresh = FreshProperties({"s3.region": "here"}, source, lambda: source.now)

    with ThreadPoolExecutor(30) as pool:
        given = list(pool.map(lambda _: fresh.current()[0], range(30)))

    assert source.asked == 1
    assert {each["s3.access-key-id"] for each in given} == {"key1"}
    assert {each["s3.region"] for each in given} == {"here"}


def test_a_source_that_fails_early_is_asked_later() -> None:
    """While the old keys are good a failure changes nothing; when they are over it is raised."""
    source = _Source(1000)
    fresh = FreshProperties(_keys(0, source.now + 1000), source, lambda: source.now)
    source.fails = True
    source.now += 800

    kept = [fresh.current()[0]["s3.access-key-id"] for _ in range(5)]
    asked = source.asked
    source.now += 201

    assert (kept, asked) == (["key0"] * 5, 1)
    for _ in range(5):
        with pytest.raises(StoreError, match="down"):
            fresh.current()
    assert source.asked == 2


def test_a_failure_is_not_the_end() -> None:
    """Half a second after a failure the source is asked again, and what it gives is used."""
    source = _Source(1000)
    fresh = FreshProperties({}, source, lambda: source.now)
    source.fails = True
    with pytest.raises(StoreError, match="down"):
        fresh.current()

    source.fails = False
    source.now += 0.6

    assert fresh.current()[0]["s3.access-key-id"] == "key2"


def test_fresh_credentials_are_cleaned() -> None:
    """What a source read from a file with a line break at its end is good; what can't be sent is refused."""
    fresh = FreshProperties({}, lambda: {"s3.session-token": "token\n"})
    garbled = FreshProperties({}, lambda: {"s3.session-token": "to\nken"})

    assert fresh.current()[0] == {"s3.session-token": "token"}
    with pytest.raises(ConfigError, match="session-token"):
        garbled.current()


def test_a_time_that_is_none_is_refused() -> None:
    """The property is named."""
    with pytest.raises(ConfigError, match="session-token-expires-at-ms"):
        FreshProperties({"s3.session-token-expires-at-ms": "tomorrow"}, dict)
