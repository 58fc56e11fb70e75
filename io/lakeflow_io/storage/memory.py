"""A transport over a dict: for tests, and for anyone who wants a lake that leaves no trace."""

from __future__ import annotations

import hashlib
from threading import Lock
from typing import TYPE_CHECKING

from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError
from lakeflow_io.storage.transport import ObjectInfo
from lakeflow_io.storage.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MemoryTransport"]


class MemoryTransport:
    """Keeps objects in memory and counts requests by verb, so that a test can claim how many were made."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: dict[str, int] = {}
        self._lock = Lock()

    def get(self, uri: str) -> memoryview:
        """The whole object."""
        self._count("get")
        return memoryview(self._read(uri))

    def get_if_changed(self, uri: str, tag: str | None = None) -> tuple[memoryview, str] | None:
        """The whole object and its tag; None where it still has the one that is given."""
        self._count("get_if_changed")
        data = self._read(uri)
        return None if _tag(data) == tag else (memoryview(data), _tag(data))

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`."""
        self._count("get_range")
        data = memoryview(self._read(uri))[start : start + length]
        if len(data) != length:
            raise CorruptFileError(f"{uri} ends too early: {length} bytes were asked for, {len(data)} came.")
        return data

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """Bytes `[start, start + length)`, for a task; counted as `get_range`."""
        data = self.get_range(uri, start, length)
        if on_first_byte is not None:
            on_first_byte()
        return data

    async def get_suffix_async(self, uri: str, length: int) -> tuple[memoryview, int]:
        """The last `length` bytes, or all where there are fewer, and the object's size in bytes."""
        self._count("get_suffix")
        data = memoryview(self._read(uri))
        return data[max(0, len(data) - length) :], len(data)

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """Write an object."""
        self._count("put")
        self.objects[uri] = bytes(data)

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write an object unless one is there; tell whether this call wrote it."""
        self._count("put_if_absent")
        with self._lock:
            if uri in self.objects:
                return False
            self.objects[uri] = bytes(data)
            return True

    def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
        """Replace an object that has this tag; tell whether this call did."""
        self._count("put_if_unchanged")
        with self._lock:
            if uri not in self.objects or _tag(self.objects[uri]) != tag:
                return False
            self.objects[uri] = bytes(data)
            return True

    def open_output(self, uri: str) -> Upload:
        """A file that is written front to back, and visible once it is closed."""
        return Upload(uri, _Sender(self, uri))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix`."""
        self._count("list")
        folder = prefix.rstrip("/") + "/"
        for uri, data in list(self.objects.items()):
            if uri.startswith(folder):
                yield ObjectInfo(uri, len(data))

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders directly in the folder `prefix`."""
        self._count("folders")
        base = prefix.rstrip("/") + "/"
        inside = [uri.removeprefix(base) for uri in list(self.objects) if uri.startswith(base)]
        yield from sorted({name.partition("/")[0] for name in inside if "/" in name})

    def delete(self, uri: str) -> None:
        """Delete an object; one that is gone already is no error."""
        self._count("delete")
        self.objects.pop(uri, None)

    def _read(self, uri: str) -> bytes:
        try:
            return self.objects[uri]
        except KeyError:
            raise ObjectNotFoundError(f"{uri} does not exist.") from None

    def _count(self, verb: str) -> None:
        with self._lock:
            self.requests[verb] = self.requests.get(verb, 0) + 1


def _tag(data: bytes) -> str:
    """As S3 makes it of small objects: of the bytes alone, so the same bytes have the same one."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class _Sender:
    """Puts an object that comes in parts."""

    def __init__(self, transport: MemoryTransport, uri: str) -> None:
        self._transport = transport
        self._uri = uri

    def whole(self, data: bytearray) -> None:
        self._transport.put(self._uri, memoryview(data))

    def parts(self, parts: Iterator[bytearray]) -> None:
        self._transport.put(self._uri, b"".join(parts))
