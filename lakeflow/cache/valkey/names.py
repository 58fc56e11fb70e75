"""How all keys of a cache in a server are named, and how buckets are spread over the slots of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lakeflow.cache.valkey.nodes import SLOTS, slot_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PARTS", "Names", "bucket_names", "spread_tags"]

PARTS = 256
"""Into how many slots a cache is spread in a cluster: ten nodes get from 25 to 26 of them, a hundred 2 or 3."""

_BITS = 8  # of PARTS
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_BUCKET_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Names:
    """The keys of one cache in a server; a cache's name has no brace in it."""

    cache: str

    @property
    def pointer(self) -> bytes:
        """The key of the pointer."""
        return self.root + b"CURRENT"

    @property
    def pushes(self) -> bytes:
        """The key of the hash that describes all pushes of which there may be rows."""
        return self.root + b"PUSHES"

    @property
    def lock(self) -> bytes:
        """The key that whoever pushes holds."""
        return self.root + b"PUSH"

    def progress(self, push: str) -> bytes:
        """The key that says how far a push has come."""
        return self.root + push.encode() + b":DONE"

    @property
    def root(self) -> bytes:
        """How keys begin that stand once for a cache; and all keys where there is no cluster."""
        return f"lakeflow:{{{self.cache}}}:".encode()

    def part(self, tag: int) -> bytes:
        """How keys of one part of a cache in a cluster begin."""
        return f"lakeflow:{{{self.cache}/{tag}}}:".encode()


@lru_cache(maxsize=64)
def spread_tags(cache: str) -> tuple[int, ...]:
    """Return the tag of each part of a cache, so that the parts lie evenly over all slots.

    The slots are cut into `PARTS` ranges, and each gets the least tag that falls into it: by chance alone, three
    nodes would differ by a tenth. Nodes have runs of slots; parts that follow each other lie far from each other
    (their ranges' numbers are bit-reversed), so that a push, which goes part by part, keeps several nodes busy.
    """
    names, found = Names(cache), dict[int, int]()
    tag = 0
    while len(found) < PARTS:
        found.setdefault(slot_of(names.part(tag)) * PARTS // SLOTS, tag)
        tag += 1
    return tuple(found[int(f"{part:0{_BITS}b}"[::-1], 2)] for part in range(PARTS))


def bucket_names(prefix: bytes, buckets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the keys of buckets below 2**32: `prefix` and eight hexadecimal digits, one row of bytes each."""
    names = np.empty((len(buckets), len(prefix) + _BUCKET_DIGITS), np.uint8)
    names[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    shifts = np.arange(_BUCKET_DIGITS - 1, -1, -1) * 4
    names[:, len(prefix) :] = _DIGITS[(buckets[:, None] >> shifts) & 15]
    return names
