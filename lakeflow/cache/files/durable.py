"""Files that survive a power cut: written, flushed to the disk, and in place under one name or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakeflow.cache.files.failures import reading, writing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = [
    "checksum",
    "draft_of",
    "exclusive",
    "link",
    "new_file",
    "read_small",
    "read_through",
    "replace",
    "sync_folder",
]

# EPERM: none at all, or protected_hardlinks; EMLINK: 65,000 names on ext4; EXDEV: another mount below the folder.
_CANNOT_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS})
_CHUNK_BYTES = 4 << 20  # large enough that the read call costs nothing beside the checksum


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """Open `path` for writing; its bytes are on the disk when the block ends.

    Raises:
        StoreError: as `failures.writing` says.
    """
    with writing(path), path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names, which fsync of a file doesn't."""
    with writing(folder):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def replace(path: Path, content: bytes, *, mtime_ns: int | None = None) -> None:
    """Put `content` at `path` in one step: a reader sees the old bytes or the new, never a mixture.

    Args:
        path: The name; its folder exists, and the caller is the only writer.
        content: All of the bytes.
        mtime_ns: The modification time to give the file; now where None.
    """
    draft = draft_of(path)
    with new_file(draft) as file:
        file.write(content)
    with writing(path):
        if mtime_ns is not None:
            os.utime(draft, ns=(mtime_ns, mtime_ns))
        draft.replace(path)
    sync_folder(path.parent)


def draft_of(path: Path) -> Path:
    """Where `replace` writes first; who dies in the middle of it leaves that."""
    return path.with_name(path.name + ".draft")


def link(source: Path, target: Path) -> None:
    """Give a file another name; a copy of it where the file system has no hard links, or no more of them.

    Raises:
        ObjectNotFoundError: there is no such file.
        StoreError: as `failures.writing` says.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        with reading(source):
            raise
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            with writing(target):
                raise
        with reading(source), source.open("rb") as content, new_file(target) as file:
            shutil.copyfileobj(content, file, _CHUNK_BYTES)


def read_small(path: Path) -> tuple[bytes, os.stat_result]:
    """Read a file whole, and what the file system says of it: four system calls, in half the time of `Path.open`.

    Raises:
        OSError: the file system's, for `failures.reading` to explain.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        found = os.fstat(file)
        content = os.read(file, found.st_size)
        while len(content) < found.st_size and (more := os.read(file, found.st_size - len(content))):
            content += more
        return content, found
    finally:
        os.close(file)


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file.

    CRC-32 finds every flipped bit and every burst of up to 32, which is what disks and copies do, and
    costs a quarter of a cryptographic digest. It isn't there to find forgery.
    """
    value = 0
    for chunk in read_through(path):
        value = zlib.crc32(chunk, value)
    return value


def read_through(path: Path) -> Iterator[memoryview]:
    """Yield a file's bytes in order, whole blocks of 4 KiB at a time but for the last ones.

    What was yielded is overwritten by what comes next.
    """
    chunk = memoryview(bytearray(_CHUNK_BYTES))
    with reading(path), path.open("rb") as file:
        while size := file.readinto(chunk):
            yield chunk[:size]


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock file at `path`; the kernel lets go of it if this process dies.

    Between processes of one machine, and between machines where the file system carries `flock`.
    """
    with writing(path):
        file = path.open("ab")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
