"""Something done every few seconds beside the run, whatever the run is waiting for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Ticker"]


class Ticker:
    """Calls from a thread of its own, from its enter to its exit.

    Args:
        seconds: Between calls.
        call: What is called; it must not raise.
        name: Of the thread.
    """

    def __init__(self, seconds: float, call: Callable[[], None], name: str) -> None:
        self._seconds = seconds
        self._call = call
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._call()
