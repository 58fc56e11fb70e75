"""What is removed from a server leaves it time for others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import lakeflow.cache.valkey.removal as removal_module
from lakeflow.cache.valkey import push

if TYPE_CHECKING:
    import pytest

    from lakeflow.cache import Cache


def test_removal_takes_a_fifth_of_the_servers_time(
    rows_of: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each command comes a pause of four times what it took."""
    for tag in "ab":
        cache.load(rows_of(tag, 30_000), key="id")
        push(cache, url)
    cache.load(rows_of("c"), key="id")
    pauses: list[float] = []
    clock = iter(range(10**9))
    monkeypatch.setattr(removal_module, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=pauses.append))

    assert push(cache, url).removed == 30_000

    assert len(pauses) > 1
    assert set(pauses) == {4.0}
