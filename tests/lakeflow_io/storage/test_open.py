"""Transports are made once, may be made while another is being made, and don't pile up."""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING

from lakeflow_io.storage import open as opening
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

KEYS = {"s3.access-key-id": "id", "s3.secret-access-key": "secret"}


def _ends(call: Callable[[], object]) -> bool:
    """Tell whether a call returns, rather than wait for itself."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(60)
    return not thread.is_alive()


def test_a_source_may_open_a_transport_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user's module that reads its keys from a store when it is imported is waited for, not deadlocked."""
    (tmp_path / "module_that_opens.py").write_text(
        "from lakeflow_io.storage import open_transport\n"
        "open_transport({'s3.region': 'where-keys-lie'})\n"
        "def fresh(): return {}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert _ends(lambda: open_transport({"lakeflow.credentials.function": "module_that_opens:fresh"}))


def test_threads_that_open_the_same_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is first, all use the connections of one."""
    inside = threading.Barrier(2, timeout=60)
    module = ModuleType("module_that_waits")

    def look_up(_: str) -> object:
        inside.wait()
        return dict

    module.__dict__["__getattr__"] = look_up
    monkeypatch.setitem(sys.modules, "module_that_waits", module)
    made: list[object] = []

    def both() -> None:
        made.append(open_transport({"lakeflow.credentials.function": "module_that_waits:fresh"}))

    other = threading.Thread(target=both)
    other.start()
    both()
    other.join()

    assert made[0] is made[1]


def test_what_lies_in_memory_stays() -> None:
    """Objects in `memory://` outlive a transport that was put away for others that were used later."""
    open_transport(KEYS).put("memory://kept/object", b"x")

    for number in range(100):
        open_transport({**KEYS, "s3.session-token": str(number)})

    assert bytes(open_transport(KEYS).get("memory://kept/object")) == b"x"


def test_transports_do_not_pile_up() -> None:
    """A process that sees many sets of properties keeps the transports that it used last."""
    for number in range(100):
        open_transport({"s3.region": f"region-{number}"})

    assert len(opening._transports) <= 32
    assert open_transport({"s3.region": "region-99"}) is open_transport({"s3.region": "region-99"})
