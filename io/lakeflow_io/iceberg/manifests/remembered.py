"""Decoded manifests that this process has used last, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakeflow_io.iceberg.manifests.entries import Entries, Extras
    from lakeflow_io.storage.immutable import ImmutableCache

__all__ = ["Remembered", "decoded", "identity"]

# A million files without column bounds.
_LIMIT_BYTES = 256 * 2**20


class Remembered:
    """Decoded manifests, those used last.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int = _LIMIT_BYTES) -> None:
        self._limit, self._bytes = limit, 0
        self._kept: OrderedDict[bytes, tuple[Extras, Entries, int]] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: bytes | None, extras: Extras) -> Entries | None:
        """What was decoded of a manifest, if all that is wanted was."""
        with self._lock:
            found = self._kept.get(key) if key is not None else None
            if key is None or found is None or not found[0].covers(extras):
                return None
            self._kept.move_to_end(key)
            return found[1]

    def wider(self, key: bytes | None, extras: Extras) -> Extras:
        """What is to be decoded of a manifest so that no less than now is remembered of it, and what is wanted."""
        with self._lock:
            found = self._kept.get(key) if key is not None else None
        return extras if found is None else extras.union(found[0])

    def keep(self, key: bytes | None, extras: Extras, entries: Entries) -> None:
        """Remember what was decoded."""
        if key is None:
            return
        size = entries.nbytes
        with self._lock:
            self._bytes += size - self._kept.pop(key, (None, None, 0))[2]
            self._kept[key] = extras, entries, size
            while self._bytes > self._limit:
                self._bytes -= self._kept.popitem(last=False)[1][2]


decoded = Remembered()
"""This process's."""


def identity(cache: ImmutableCache, uri: str, size: int) -> bytes | None:
    """What a manifest is remembered by; None where it isn't to be.

    A local file is near, but decoding it again is not for nothing; that it may be written anew under the same
    name is seen from its time and number.
    """
    if uri.startswith(("file:", "/")) and not cache.is_off:
        try:
            found = Path(uri.removeprefix("file://").removeprefix("file:")).stat()
        except (OSError, ValueError):
            return None
        return f"{uri}\0{size}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}".encode()
    return cache.identity(uri, size)
