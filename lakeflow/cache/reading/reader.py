"""Which version a request reads: the one that the pointer names, or one that was chosen for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.cache.files.pointer import read_consistently
from lakeflow_io.errors import NotFoundError

if TYPE_CHECKING:
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.shelf import Shelf

__all__ = ["FixedReader", "never_published", "open_current"]


class FixedReader:
    """Reads one version, whatever is published; it is opened once.

    Args:
        shelf: Where.
        version: Which.
    """

    def __init__(self, shelf: Shelf, version: str) -> None:
        self._shelf, self._version = shelf, version
        self._opened: OpenVersion | None = None

    def version(self) -> OpenVersion:
        """As `Reader.version`."""
        if self._opened is None:
            self._opened = read_consistently(self._shelf.read_pointer, self._open)
        return self._opened

    def expire(self) -> None:
        """Nothing: the version stays."""

    def fetch(self) -> None:
        """Have all of its files at hand."""
        for _ in self.version().shards:
            pass

    def _open(self, pointer: Pointer | None) -> OpenVersion:
        if pointer is None:
            raise never_published(self._shelf)
        if self._version not in pointer.published:
            raise NotFoundError.among("version", self._version, self._shelf.place, list(pointer.published))
        return self._shelf.open(self._shelf.manifest(self._version))


def open_current(shelf: Shelf, pointer: Pointer | None) -> OpenVersion:
    """Open the version that a pointer names.

    Raises:
        NotFoundError: there is no pointer.
    """
    if pointer is None:
        raise never_published(shelf)
    return shelf.open(shelf.manifest(pointer.version))


def never_published(shelf: Shelf) -> NotFoundError:
    """There is nothing to read."""
    message = f"Cache {shelf.name!r} in {shelf.root} has no version."
    return NotFoundError(message, "publish one with Cache.load(), or check the name and the folder.")
