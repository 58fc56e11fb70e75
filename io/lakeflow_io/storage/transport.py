"""The seam between lakeflow and any store of bytes.

There is no `head` here, on purpose: sizes come from manifests, so a reader never needs one.
Every method may be called from many threads at once, and releases the GIL while it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ObjectInfo", "Transport"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing."""

    uri: str
    size: int
    """Bytes."""


class Transport(Protocol):
    """Reads and writes objects named by URI.

    Every method raises ObjectNotFoundError, AccessDeniedError, StoreFullError or StoreError, never
    an exception of the library beneath.
    """

    def get(self, uri: str) -> memoryview:
        """The whole object, in one request."""
        ...

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`, in one request.

        Raises:
            CorruptFileError: the object ends before `start + length`.
        """
        ...

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """Write an object; readers see all of it or nothing."""
        ...

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write an object unless one is there; tell whether this call wrote it."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix`, in no particular order."""
        ...

    def delete(self, uri: str) -> None:
        """Delete an object; one that is gone already is no error."""
        ...
