"""A read-only file made of the fetched ranges only, so that pyarrow decodes without a file copy.

pyarrow without pre-buffering asks for exactly one buffer per column chunk. Each is handed over as
a view of the bytes that came off the wire.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import TYPE_CHECKING

from lakeflow_io.errors import InternalError

if TYPE_CHECKING:
    from lakeflow_io.parquet.ranges import ByteRange

__all__ = ["SparseFile"]


class SparseFile:
    """The file object of `pyarrow.PythonFile`, over buffers at known offsets.

    Args:
        uri: Named in errors.
        size: The whole file's size in bytes.
        parts: Fetched ranges, sorted and without overlap, and their bytes.
    """

    closed = False
    mode = "rb"

    def __init__(self, uri: str, size: int, parts: list[tuple[ByteRange, memoryview]]) -> None:
        self._uri = uri
        self._size = size
        self._parts = parts
        self._starts = [where.start for where, _ in parts]
        self._position = 0

    def read(self, length: int = -1) -> memoryview:
        """The next `length` bytes, not copied; all of them were fetched together."""
        if length < 0:
            length = self._size - self._position
        found = bisect_right(self._starts, self._position) - 1
        where, data = self._parts[found] if found >= 0 else (None, memoryview(b""))
        if where is None or self._position + length > where.end:
            raise InternalError(
                f"{self._uri}: the decoder asked for bytes {self._position}-{self._position + length}, "
                "which were not fetched."
            )
        begin = self._position - where.start
        self._position += length
        return data[begin : begin + length]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; returns the new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def flush(self) -> None:
        """Nothing to flush: the interface of a file wants it."""

    def close(self) -> None:
        """Let go of the bytes."""
        self.closed = True
        self._parts = []
        self._starts = []
