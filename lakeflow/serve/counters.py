"""What the worker processes of a server have counted, each for itself, summed by whoever is asked.

A scrape reaches one process of several, and must tell the numbers of all. So each process counts in a
file of its own, mapped into memory: one writer, eight aligned bytes a counter, no lock. Any process
reads all files and sums them. The file of a process that has ended stays, so sums never go back.

prometheus_client's multiprocess mode does the same with files of JSON keys. It wants its environment
variable before its first import, which is another's to say where the application is mounted, and keeps
a file for each type and process; what is counted here has a layout that is known beforehand.
"""

from __future__ import annotations

import logging
import mmap
import os
import secrets
import sys
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakeflow.serve.routes import Route

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from lakeflow.serve.noted import Noted

__all__ = ["BOUNDS_SECONDS", "OTHER_CACHES", "Counters", "Counts"]

_log = logging.getLogger(__name__)

BOUNDS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram of latencies: a look-up in memory takes 0.1 to 0.3 ms."""
OTHER_CACHES = "(others)"
"""Caches past the first 255 that a process was asked for are counted together; no cache can have this name."""

_ROUTES = tuple(Route)
_NUMBERS = {route: number for number, route in enumerate(_ROUTES)}
_STATUSES = range(100, 600)
_LATENCIES = len(_STATUSES)  # behind the statuses of a route
_NANOSECONDS = _LATENCIES + len(BOUNDS_SECONDS) + 1  # behind the latencies and those past the last bound
_ROUTE = _NANOSECONDS + 1  # words of a route
_FIRST_CACHE = _ROUTE * len(_ROUTES)
_CACHES = 256
_NAME = 32  # words of a name: its length in one byte, and up to 255
_CACHE = _NAME + 2  # words of a cache: its name, keys asked for, keys found
_WORDS = _FIRST_CACHE + _CACHE * _CACHES
_SUFFIX = ".counters"


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over all processes."""

    statuses: dict[Route, dict[int, int]]
    """Requests by status, without zeros."""
    latencies: dict[Route, list[int]]
    """Requests by the bounds that they are within, each in one; last those past all bounds."""
    seconds: dict[Route, float]
    """Of all requests together."""
    keys: dict[str, tuple[int, int]]
    """By cache: keys asked for, keys found."""


class Counters:
    """The counters of this process, and through it those of the others.

    Args:
        folder: Where all processes of a server keep theirs; None where this one counts alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._words: memoryview[int] | None = None
        self._places: dict[str, int] = {}

    def count(self, noted: Noted, status: int, seconds: float) -> None:
        """Count one request that was answered."""
        # Made at the first request: a server may fork processes after it has made the application.
        words = self._words if self._words is not None else self._open()
        route = _ROUTE * _NUMBERS[noted.route]
        words[route + status - _STATUSES.start] += 1
        words[route + _LATENCIES + bisect_left(BOUNDS_SECONDS, seconds)] += 1
        words[route + _NANOSECONDS] += round(seconds * 1e9)
        if noted.cache is not None and noted.keys:
            place = self._places.get(noted.cache) or self._place(words, noted.cache)
            words[place] += noted.keys
            words[place + 1] += noted.found

    def total(self) -> Counts:
        """Sum what all processes have counted."""
        return _counts(self._all())

    def _open(self) -> memoryview[int]:
        memory: bytearray | mmap.mmap = bytearray(8 * _WORDS)
        if self._folder is not None:
            try:
                memory = _new_file(self._folder)
            except OSError as error:  # requests are worth more than their count
                _log.warning("What this process answers won't be counted: %s", error)
        self._words = memoryview(memory).cast("Q")
        return self._words

    def _place(self, words: memoryview[int], name: str) -> int:
        """Return where a cache's keys are counted, which is entered when it is first asked for."""
        number = min(len(self._places), _CACHES - 1)
        name = name if number < _CACHES - 1 else OTHER_CACHES
        start = _FIRST_CACHE + _CACHE * number
        if name not in self._places:
            encoded = name.encode()
            padded = (bytes([len(encoded)]) + encoded).ljust(8 * _NAME, b"\0")
            # The first word, with the length in it, goes last: readers take a name whole or not at all.
            for word in reversed(range(_NAME)):
                words[start + word] = int.from_bytes(padded[8 * word : 8 * word + 8], sys.byteorder)
            self._places[name] = start + _NAME
        return self._places[name]

    def _all(self) -> list[NDArray[np.uint64]]:
        if self._folder is None:
            return [np.frombuffer(self._words, dtype=np.uint64)] if self._words is not None else []
        read = [path.read_bytes() for path in self._folder.glob(f"*{_SUFFIX}")]
        return [np.frombuffer(each, dtype=np.uint64) for each in read if len(each) == 8 * _WORDS]


def _new_file(folder: Path) -> mmap.mmap:
    """Map a new file of zeros; they are written, as a page without a block on a full disk would end the process."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
    with path.open("x+b") as file:
        file.write(bytes(8 * _WORDS))
        file.flush()
        return mmap.mmap(file.fileno(), 8 * _WORDS)


def _counts(processes: list[NDArray[np.uint64]]) -> Counts:
    routes = np.zeros(_FIRST_CACHE, dtype=np.uint64)
    keys: dict[str, tuple[int, int]] = {}
    for words in processes:
        routes += words[:_FIRST_CACHE]
        for cache in words[_FIRST_CACHE:].reshape(_CACHES, _CACHE):
            raw = cache[:_NAME].tobytes()
            if raw[0]:
                name = raw[1 : 1 + raw[0]].decode()
                asked, found = keys.get(name, (0, 0))
                keys[name] = (asked + int(cache[_NAME]), found + int(cache[_NAME + 1]))
    by_route = dict(zip(_ROUTES, routes.reshape(len(_ROUTES), _ROUTE).tolist(), strict=True))
    return Counts(
        statuses={
            route: {status: n for status, n in zip(_STATUSES, words, strict=False) if n}
            for route, words in by_route.items()
        },
        latencies={route: words[_LATENCIES:_NANOSECONDS] for route, words in by_route.items()},
        seconds={route: words[_NANOSECONDS] / 1e9 for route, words in by_route.items()},
        keys=keys,
    )
