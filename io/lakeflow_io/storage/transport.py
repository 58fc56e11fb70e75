"""The seam between lakeflow and any store of bytes.

There is no `head` here, on purpose: sizes come from manifests, so a reader never needs one.
Every method may be called from many threads at once, and releases the GIL while it waits.

The three ranged reads make exactly one attempt: who schedules them has the deadlines, counts the
retries and decides how many go on at once. What they raise says whether another attempt helps:

    ThrottledError             yes, later and with fewer at once
    StoreError itself          yes: 5xx, a connection or a body that was cut, a time-out
    all others                 no: it fails the same way the next time

All other verbs repeat what can be repeated by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakeflow_io.storage.upload import Upload

__all__ = ["ObjectInfo", "Transport"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing."""

    uri: str
    size: int
    """Bytes."""


class Transport(Protocol):
    """Reads and writes objects named by URI.

    Every method raises ObjectNotFoundError, AccessDeniedError, ThrottledError, StoreFullError,
    StoreError, or ConfigError where a property doesn't fit the store; never an exception of the
    library beneath.
    """

    def get(self, uri: str) -> memoryview:
        """The whole object, in one request."""
        ...

    def get_if_changed(self, uri: str, tag: str | None = None) -> tuple[memoryview, str] | None:
        """The whole object and its tag; None where the object still has the tag that is given.

        A tag is the store's own (an ETag, Google's generation): another one after each write of other bytes.
        """
        ...

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`, in one request and one attempt.

        Raises:
            CorruptFileError: the object ends before `start + length`.
        """
        ...

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """`get_range` for a task, on whatever loop; cancelling the task drops the request.

        Args:
            uri: The object.
            start: Its first byte that is wanted.
            length: How many.
            on_first_byte: Called when the answer begins, where the store's client can tell.

        Raises:
            CorruptFileError: the object ends before `start + length`.
        """
        ...

    async def get_suffix_async(self, uri: str, length: int) -> tuple[memoryview, int]:
        """The last `length` bytes, or all where there are fewer, and the object's size in bytes.

        One attempt and one request, wherever the store has ranges that count from the end (Azure
        hasn't: there it takes a second one). Cancelling the task drops it.
        """
        ...

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """Write an object; readers see all of it or nothing."""
        ...

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write an object unless one is there; tell whether this call wrote it.

        Raises:
            UnsupportedError: the store has no conditional writes, and says so.
        """
        ...

    def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
        """Replace an object that has the tag that `get_if_changed` gave; tell whether this call did.

        Where the store's answer was lost, the request may be sent again, and then finds what it wrote itself:
        who has to know tells by the bytes.

        Raises:
            UnsupportedError: the store has no conditional writes, and says so.
        """
        ...

    def open_output(self, uri: str) -> Upload:
        """A file of 80 GB at most that is written front to back, and visible once it is closed.

        It is sent while it is written, and takes the memory of a few parts (64 MiB), whatever its size.
        """
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix`, in no particular order."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders directly in the folder `prefix`, in no particular order.

        What is in them isn't listed: one request for each thousand of them.
        """
        ...

    def delete(self, uri: str) -> None:
        """Delete an object; one that is gone already is no error."""
        ...
