"""Small parts of objects that never change: remembered from earlier scans, or fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow_io.parquet.ranges import ByteRange
    from lakeflow_io.reader.fetch import Fetcher
    from lakeflow_io.reader.report import Counters
    from lakeflow_io.storage.immutable import ImmutableCache

__all__ = ["Remembered"]

# What is larger leaves too little room for footers, and its bytes take longer than its latency.
_LARGEST_BYTES = 256 * 1024


class Remembered:
    """A fetcher with a memory.

    Args:
        fetcher: Asked for what isn't remembered.
        cache: Where it is remembered; None for nowhere.
        counters: Where bytes are counted that are asked for.
    """

    def __init__(self, fetcher: Fetcher, cache: ImmutableCache | None, counters: Counters) -> None:
        self._fetcher, self._cache, self._counters = fetcher, cache, counters
        self._trusted: set[tuple[str, int]] = set()

    def fetch(
        self,
        order: int,
        uri: str,
        ranges: Sequence[ByteRange],
        done: Callable[[list[memoryview] | BaseException], None],
    ) -> None:
        """As `Fetcher.fetch`; `done` may be called before this returns."""
        size = sum(where.length for where in ranges)
        cache = self._cache if size <= _LARGEST_BYTES else None
        names = [(f"{uri}#{where.start}", where.length) for where in ranges]
        if cache is not None:
            found = [data for data in cache.find(names) if data is not None]
            if len(found) == len(ranges):
                self._trusted.update(names)
                done([memoryview(data) for data in found])
                return

        def came(got: list[memoryview] | BaseException) -> None:
            if cache is not None and not isinstance(got, BaseException):
                for name, data in zip(names, got, strict=True):
                    cache.keep(*name, bytes(data))
            done(got)

        self._counters.bytes_wanted += size
        self._fetcher.fetch(order, uri, ranges, came)

    def distrust(self) -> None:
        """Forget what was remembered: an object may have been replaced after all."""
        if self._cache is not None and self._trusted:
            self._cache.forget(self._trusted)

    def save(self) -> None:
        """Remember beyond this process."""
        if self._cache is not None:
            self._cache.save()
