"""Maps files, and tells the kernel how they are read; see madvise(2). It is advice: untaken, pages come one by one.

Python's `mmap` has the same, but keeps a file descriptor open for as long as the mapping lives, and a cache has
hundreds of them. Arrow's doesn't, but whatever is read of it is asked of the disk, up to the read-ahead of that, for
each record batch that is opened and not looked at: of a cache that is larger than memory, megabytes for each shard.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["expect_any", "is_here", "mapped", "wait_for", "will_need"]

_PAGE_BYTES = mmap.PAGESIZE
_MADV_POPULATE_READ = 22
"""Linux 5.14, include/uapi/asm-generic/mman-common.h; not in `mmap`. A kernel without it says EINVAL."""


def mapped(path: Path | str) -> pa.Buffer:
    """Map a file that isn't empty and close it; the mapping lives as long as the buffer.

    Until `expect_any`, a page fault reads one page, and not up to some megabytes around it.
    """
    with pa.memory_map(str(path)) as source:
        start = source.read_buffer(1)  # one of no bytes wouldn't keep the mapping
        content = pa.foreign_buffer(start.address, source.size(), start)
    _advise(content.address, content.size, mmap.MADV_RANDOM)
    return content


def expect_any(address: int, size: int) -> None:
    """Have page faults in a mapping read ahead."""
    _advise(address, size, mmap.MADV_NORMAL)


def is_here(address: int, size: int) -> bool:
    """Whether pages are in memory, or nobody can tell."""
    start, pages = _pages(address, size)
    here = (ctypes.c_ubyte * pages)()
    failed = _system(held=True).mincore(start, pages * _PAGE_BYTES, here)
    return bool(failed) or 0 not in bytes(here)


def will_need(address: int, size: int) -> None:
    """Have pages that aren't in memory read as one, while this process goes on."""
    _advise(address, size, mmap.MADV_WILLNEED)


def wait_for(address: int, size: int) -> None:
    """Wait for pages that are being read, while other threads go on: a page fault would wait with the GIL held."""
    if sys.platform == "linux":
        _advise(address, size, _MADV_POPULATE_READ)


def _advise(address: int, size: int, advice: int) -> None:
    start, pages = _pages(address, size)
    _system().madvise(start, pages * _PAGE_BYTES, advice)


def _pages(address: int, size: int) -> tuple[int, int]:
    """Return where the first page of some bytes begins, and how many they lie on."""
    first = address // _PAGE_BYTES
    return first * _PAGE_BYTES, -(-(address + size) // _PAGE_BYTES) - first


@cache
def _system(*, held: bool = False) -> Any:
    """The C library, called without the GIL, or with it: to let go of it takes longer than what is asked then."""
    system = ctypes.PyDLL(None) if held else ctypes.CDLL(None)
    system.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    system.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return system
