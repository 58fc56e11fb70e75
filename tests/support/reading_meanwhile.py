"""Readers at work while versions are pushed: what each request saw of them."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["seen_whole"]


def seen_whole(
    reads: Sequence[Callable[[], set[str | None]]], publish: Callable[[int], object], *, times: int, least: int
) -> None:
    """Read without a pause, a thread for each reader, while versions are published.

    Every request has to see the rows of one version, and all of them.

    Args:
        reads: Each makes a request; the tags of the rows in its answer, None for one that is missing.
        publish: Pushes a version, which has a tag of its own by the number that is given.
        times: How often it is called; oftener, where readers that got little of the processor need more versions.
        least: So many versions are seen.
    """
    seen: list[set[str | None]] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def read(request: Callable[[], set[str | None]]) -> None:
        try:
            while not stop.is_set():
                seen.append(request())
        except BaseException as error:  # noqa: BLE001  (shown below)
            failures.append(error)

    threads = [threading.Thread(target=read, args=(request,)) for request in reads]
    for thread in threads:
        thread.start()
    try:
        for number in itertools.count():
            if failures or (number >= times and len(set().union(*seen)) >= least):
                break
            publish(number)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert {1} == {len(tags) for tags in seen}
    assert {None} not in seen
