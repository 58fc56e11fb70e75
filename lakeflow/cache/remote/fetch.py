"""The bytes of an object, in order: ranged reads, many at once, a few parts ahead of whoever takes them."""

from __future__ import annotations

from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from lakeflow_io.parquet.ranges import ByteRange
from lakeflow_io.reader.fetch import Fetcher
from lakeflow_io.reader.report import Counters

if TYPE_CHECKING:
    from collections.abc import Generator

    from lakeflow_io.storage import Transport

__all__ = ["parts"]

_PART_BYTES = 8 << 20  # as the reader's units
_AHEAD = 12  # parts that are asked for and not taken: 96 MiB, more than a fast link has under way


def parts(transport: Transport, uri: str, size: int) -> Generator[memoryview]:
    """Yield an object in order, fetched as scans fetch theirs: paced, retried, hedged.

    Close it where it isn't taken to the end: then requests under way are dropped.

    Args:
        transport: The store.
        uri: The object.
        size: Its bytes.

    Raises:
        ObjectNotFoundError: it is gone.
        CorruptFileError: it is shorter.
        StoreError: the store failed, in spite of retries.
    """
    ranges = [ByteRange(start, min(_PART_BYTES, size - start)) for start in range(0, size, _PART_BYTES)]
    answers: SimpleQueue[tuple[int, list[memoryview] | BaseException]] = SimpleQueue()
    fetcher = Fetcher(transport, Counters(), "lakeflow-shards")

    def ask(number: int) -> None:
        fetcher.fetch(number, uri, [ranges[number]], partial(_put, answers, number))

    try:
        for number in range(min(_AHEAD, len(ranges))):
            ask(number)
        came: dict[int, memoryview] = {}
        for number in range(len(ranges)):
            while number not in came:
                which, answer = answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                came[which] = answer[0]
            yield came.pop(number)
            if number + _AHEAD < len(ranges):
                ask(number + _AHEAD)
    finally:
        fetcher.close()


def _put(
    answers: SimpleQueue[tuple[int, list[memoryview] | BaseException]],
    number: int,
    answer: list[memoryview] | BaseException,
) -> None:
    answers.put((number, answer))
