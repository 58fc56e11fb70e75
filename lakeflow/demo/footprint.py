"""How much memory this process and all it has started hold, at the worst moment."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Footprint", "watch_memory"]

_SAMPLE_SECONDS = 0.1


@dataclass(slots=True)
class Footprint:
    """Filled while it is watched."""

    peak_rss_bytes: int = 0
    """The largest sum of resident sets; pages that processes share count in each."""


@contextmanager
def watch_memory() -> Generator[Footprint]:
    """Sample the process tree until the block ends."""
    footprint, ended = Footprint(), threading.Event()

    def sample() -> None:
        root = psutil.Process()
        while True:
            footprint.peak_rss_bytes = max(footprint.peak_rss_bytes, _tree_rss(root))
            if ended.wait(_SAMPLE_SECONDS):
                return

    thread = threading.Thread(target=sample, name="lakeflow-memory", daemon=True)
    thread.start()
    try:
        yield footprint
    finally:
        ended.set()
        thread.join()


def _tree_rss(root: psutil.Process) -> int:
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it has ended meanwhile
            continue
    return total
