"""Ctrl-C once lets what runs end; twice stops at once."""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Interrupts", "interrupts"]

_log = logging.getLogger("lakeflow.runs")


class Interrupts:
    """Whether somebody has pressed Ctrl-C."""

    def __init__(self) -> None:
        self.requested = False

    def on_signal(self, _number: int, _frame: object) -> None:
        """Take note; at the second time, raise.

        Raises:
            KeyboardInterrupt: it is the second time.
        """
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        _log.warning("Ctrl-C: what runs comes to its end, nothing new begins. Once more stops at once.")


@contextmanager
def interrupts() -> Generator[Interrupts]:
    """Take SIGINT while the block runs, where it would otherwise raise KeyboardInterrupt.

    Signals reach the main thread only, and an application that has a handler of its own keeps it:
    then nothing is ever requested.
    """
    state = Interrupts()
    before = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or before is not signal.default_int_handler:
        yield state
        return
    signal.signal(signal.SIGINT, state.on_signal)
    try:
        yield state
    finally:
        signal.signal(signal.SIGINT, before)
