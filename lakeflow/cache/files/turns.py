"""`turns`: a number beside the pointer by which a reader knows, without a system call, that it hasn't been replaced.

To look at the pointer's stamp for every request takes longer than the look-up itself. So who replaces the
pointer makes this number odd before and even after, under the cache's lock, and readers map it: while it is
even and what it was when the pointer was read, nobody has begun to replace the pointer since. Who dies in
between leaves it odd, and readers look at the stamp for every request until the next one is through. It is the
sequence lock of Linux's kernel (Documentation/locking/seqlock.rst), with the stamp in the place of the retry.

Who replaces the pointer by other means, as a copy of the whole folder does, or from another machine, doesn't count:
so readers look at the stamp every `LOOK_SECONDS` all the same.
"""

from __future__ import annotations

import mmap
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeflow.cache.files.failures import writing

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["LOOK_SECONDS", "TURNS_NAME", "Turns", "mapped_turns", "turning"]

TURNS_NAME = "turns"
LOOK_SECONDS = 0.1
"""For how long a reader relies on the number alone."""
_BYTES = 8


@contextmanager
def turning(path: Path) -> Generator[None]:
    """Replace the pointer in this block; the caller holds the cache's lock.

    Args:
        path: The file with the number, made where it is missing.

    Raises:
        StoreError: as `failures.writing` says; before the block has begun.
    """
    with writing(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        before = int.from_bytes(os.pread(file, _BYTES, 0), sys.byteorder)
        odd = (before + 1) | 1
        with writing(path):
            _write(file, odd)
        try:
            yield
        finally:  # whether it was replaced or not: readers look when the number has changed
            _write(file, odd + 1)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class Turns:
    """The number, mapped."""

    number: memoryview[int]
    """At place 0."""
    file: tuple[int, int]
    """Device and inode, which no other file has while this one is mapped."""


def mapped_turns(path: Path, before: Turns | None = None) -> Turns | None:
    """Map the number; None where there is none, or it can't be mapped.

    Args:
        path: The file with it.
        before: What was mapped of that path; it is returned where the same file is still there.
    """
    try:
        if before is not None and before.file == _identity(path.stat()):
            return before
        with path.open("rb") as file:
            number = memoryview(mmap.mmap(file.fileno(), _BYTES, access=mmap.ACCESS_READ)).cast("Q")
            return Turns(number, _identity(os.fstat(file.fileno())))
    except (OSError, ValueError):  # ValueError: it has fewer bytes
        return None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _write(file: int, number: int) -> None:
    os.pwrite(file, number.to_bytes(_BYTES, sys.byteorder), 0)  # aligned and of one word: seen whole
