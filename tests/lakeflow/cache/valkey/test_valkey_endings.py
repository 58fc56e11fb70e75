"""What fails after a version has become current: the push says so, or is told that another has overtaken it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lakeflow.cache.valkey.connection as connection_module
import lakeflow.cache.valkey.pusher as push_module
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow_io.errors import AccessDeniedError, CommitConflictError, StoreError

if TYPE_CHECKING:
    from lakeflow.cache import Cache

LOCK = "lakeflow:{scores}:PUSH"


def test_a_failed_clearing_says_that_the_pointer_is_set(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers have the new version; the next push removes what is too old. The error is of the kind that it was."""
    for tag in "ab":
        local_and_pushed(cache, url, rows_of(tag))

    def failing(*_: Any) -> None:
        raise AccessDeniedError("on purpose")

    monkeypatch.setattr(push_module, "remove", failing)
    with pytest.raises(AccessDeniedError, match=r"is current in .*, but older rows aren't removed: on purpose"):
        local_and_pushed(cache, url, rows_of("c"))
    monkeypatch.undo()

    assert ValkeyCache("scores", url).get(1)["tag"] == "c"
    assert push(cache, url).removed == 100
    assert raw.hlen("lakeflow:{scores}:PUSHES") == 2


def test_a_push_that_is_overtaken_while_it_clears_is_told(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That its version is current may be true no more."""
    for tag in "ab":
        local_and_pushed(cache, url, rows_of(tag))
    remove = push_module.remove
    monkeypatch.setattr(push_module, "remove", lambda *given: (raw.set(LOCK, "another", px=60_000), remove(*given)))

    with pytest.raises(CommitConflictError, match="took over") as caught:
        local_and_pushed(cache, url, rows_of("c"))

    assert "is current" not in str(caught.value)
    assert raw.get(LOCK) == b"another"


@pytest.mark.parametrize("lost", [False, True], ids=["it can't be reached", "it has expired"])
def test_a_lock_that_cannot_be_given_back_fails_no_push(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, raw: Any, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, *, lost: bool,
) -> None:  # fmt: skip
    """The version is current and the rest is cleared; a warning says for how long others are kept out, if they are."""
    exchange = connection_module.Connection.exchange

    def exchanging(connection: Any, request: bytes, answers: int) -> Any:
        if b"\r\nDEL\r\n" in request and not lost:
            raise StoreError("on purpose")
        return exchange(connection, request, answers)

    def cleared(*given: Any, **named: Any) -> Any:
        if lost:
            raw.delete(LOCK)
        return clear(*given, **named)

    clear = push_module._Pushing._cleared
    monkeypatch.setattr(push_module._Pushing, "_cleared", cleared)
    monkeypatch.setattr(connection_module.Connection, "exchange", exchanging)

    reader = local_and_pushed(cache, url, rows_of("a"))

    assert reader.get(1)["tag"] == "a"
    assert ("stays for up to 60 seconds: on purpose" in caplog.text) is not lost
