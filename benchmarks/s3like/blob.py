"""The bytes of one object: small ones as bytes, large ones in a memory file that sendfile takes."""

from __future__ import annotations

import os
from hashlib import md5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Blob"]

# Up to here one copy into the kernel, header and body in one call, costs less than a second call.
SMALL_BYTES = 256 * 1024


class Blob:
    """Immutable; its memory goes with the last reference, so an answer underway is never torn."""

    __slots__ = ("data", "digest", "fd", "size")

    def __init__(self, data: bytes | None, fd: int, size: int, digest: bytes) -> None:
        self.data = data
        """All of it, if it is small."""
        self.fd = fd
        """Else the memory file."""
        self.size = size
        self.digest = digest
        """MD5, from which S3 makes ETags."""

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    @classmethod
    def collect(cls, pieces: Iterable[bytes]) -> Blob:
        """The pieces, one after the other."""
        summed, held, fd, size = md5(usedforsecurity=False), bytearray(), -1, 0
        try:
            for piece in pieces:
                summed.update(piece)
                size += len(piece)
                held += piece
                if len(held) > SMALL_BYTES:
                    fd = os.memfd_create("s3like") if fd < 0 else fd
                    _write(fd, held)
                    held.clear()
            if fd >= 0:
                _write(fd, held)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            raise
        return cls(bytes(held) if fd < 0 else None, fd, size, summed.digest())

    @classmethod
    def of_file(cls, path: Path) -> Blob:
        """What a file holds now."""
        with path.open("rb") as file:
            return cls.collect(iter(lambda: file.read(1 << 20), b""))

    def read(self, start: int, length: int) -> bytes:
        """A part of it, which must be there."""
        return self.data[start : start + length] if self.data is not None else os.pread(self.fd, length, start)

    def pieces(self) -> Iterable[bytes]:
        """All of it, in parts."""
        return (self.read(start, min(1 << 20, self.size - start)) for start in range(0, self.size, 1 << 20))


def _write(fd: int, data: bytearray) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(fd, view[done:])
