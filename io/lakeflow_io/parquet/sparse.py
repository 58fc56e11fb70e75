"""A read-only file made of the fetched ranges only, so that pyarrow decodes without a file copy.

pyarrow without pre-buffering asks for exactly one buffer per column chunk. Each is handed over as
a view of the bytes that came off the wire.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["SparseFile"]


class SparseFile:
    """The file object of `pyarrow.PythonFile`, over buffers at known offsets.

    Args:
        size: The whole file's size in bytes.
        fetched: The parts of it that are there.
    """

    closed = False
    mode = "rb"

    def __init__(self, size: int, fetched: FetchedRanges) -> None:
        self._size = size
        self._fetched: FetchedRanges | None = fetched
        self._position = 0

    def read(self, length: int = -1) -> memoryview:
        """The next `length` bytes; all of them were fetched."""
        if length < 0:
            length = self._size - self._position
        if self._fetched is None:
            raise ValueError("the file is closed")
        data = self._fetched.view(self._position, length)
        self._position += length
        return data

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
        self._fetched = None
