"""Buckets become MSET commands: the bytes that go over the wire, made by the thousand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.rows.lists import fixed, joined
from lakeflow.cache.valkey.names import bucket_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lakeflow.cache.rows.packing import Packed
    from lakeflow.cache.valkey.ledger import Push
    from lakeflow.cache.valkey.names import Names

__all__ = ["Frame", "frames"]


@dataclass(slots=True, eq=False)
class Frame:
    """One MSET on its way; it may be sent again, as it writes the same each time."""

    key: bytes
    """One of its keys: all have one slot."""
    first: int
    """The number of its first bucket."""
    pieces: tuple[bytes, memoryview]
    size: int
    """Bytes of both."""
    sent: int = 0
    """How many of them have been handed to the kernel."""
    at: float = 0.0
    """When the last one was."""


def frames(packed: Packed, names: Names, push: Push, size: int) -> Iterator[Frame]:
    """Yield commands that write buckets.

    Args:
        packed: The buckets.
        names: Of the cache.
        push: Whose they are.
        size: Bytes that a command should have at most; one bucket may have more.
    """
    for start, end, prefix in _by_part(packed, names, push):
        keys = bucket_names(prefix, packed.numbers[start:end])
        values = packed.values.slice(start, end - start)
        ends = np.frombuffer(values.buffers()[1], np.int64, end - start + 1, values.offset * 8)
        wire = joined(
            fixed(_framed(keys)),
            pa.array(np.diff(ends)).cast(pa.string()).cast(pa.large_binary()),
            pa.scalar(b"\r\n", pa.large_binary()),
            values,
            pa.scalar(b"\r\n", pa.large_binary()),
        )
        offsets = np.frombuffer(wire.buffers()[1], np.int64, len(wire) + 1)
        data = memoryview(wire.buffers()[2])
        at = 0
        while at < len(wire):
            stop = max(int(np.searchsorted(offsets, offsets[at] + size, "right")) - 1, at + 1)
            head = b"*%d\r\n$4\r\nMSET\r\n" % (1 + 2 * (stop - at))
            piece = data[int(offsets[at]) : int(offsets[stop])]
            yield Frame(keys[at].tobytes(), int(packed.numbers[start + at]), (head, piece), len(head) + len(piece))
            at = stop


def _by_part(packed: Packed, names: Names, push: Push) -> Iterator[tuple[int, int, bytes]]:
    """Yield runs of buckets whose keys have one slot: from where to where, and how the keys begin."""
    parts = push.parts_of(packed.numbers)
    edges = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(parts)]
    for start, end in pairwise(edges):
        yield start, end, push.prefix(names, int(parts[start]))


def _framed(keys: NDArray[np.uint8]) -> NDArray[np.void]:
    """Return each key as RESP has it, and the sign that a value's length follows."""
    count, width = keys.shape
    head, tail = np.frombuffer(b"$%d\r\n" % width, np.uint8), np.frombuffer(b"\r\n$", np.uint8)
    framed = np.empty((count, len(head) + width + len(tail)), np.uint8)
    framed[:, : len(head)] = head
    framed[:, len(head) : -len(tail)] = keys
    framed[:, -len(tail) :] = tail
    return framed.view(f"V{framed.shape[1]}").reshape(-1)
