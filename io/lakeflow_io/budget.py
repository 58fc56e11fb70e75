"""How much memory a scan may hold, from what the machine or its container allows."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lakeflow_io.errors import InputError

__all__ = ["available_cpus", "default_budget", "memory_limit", "parse_bytes"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_LARGEST_DEFAULT_BYTES = 2**30


def parse_bytes(size: int | str) -> int:
    """`512`, `"512 MiB"` or `"1.5GB"` in bytes.

    Raises:
        InputError: the text is no size, or the size isn't positive.
    """
    if isinstance(size, str):
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*", size)
        unit = _UNITS.get(match[2].lower()) if match else None
        if match is None or unit is None:
            raise InputError(f"{size!r} is no size.", 'write bytes as a number, or "64 MiB", "2 GB".')
        size = int(float(match[1]) * unit)
    if not isinstance(size, int):
        raise InputError(f"{size!r} is no size.", 'write bytes as a number, or "64 MiB", "2 GB".')
    if size <= 0:
        raise InputError(f"A size of {size} bytes is not positive.", 'write "64 MiB", for example.')
    return size


def memory_limit() -> int:
    """Bytes that this process may use: the container's limit, else the machine's memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _CGROUP_LIMITS:
        try:
            return min(machine, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file; or "max", which means no limit
            continue
    return machine


def default_budget() -> int:
    """A quarter of the memory limit, at most 1 GiB."""
    return min(memory_limit() // 4, _LARGEST_DEFAULT_BYTES)


def available_cpus() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
