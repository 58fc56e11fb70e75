"""The Arrow memory pool that decoded columns live in."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

__all__ = ["buffer_pool"]


@cache
def buffer_pool() -> pa.MemoryPool:
    """The pool of jemalloc where pyarrow has it, else the system's allocator.

    pyarrow's default, mimalloc, spends several times the time of decoding on page faults when
    results are kept (`python -m benchmarks decode`).
    """
    try:
        return pa.jemalloc_memory_pool()
    except NotImplementedError:  # not on Windows
        return pa.system_memory_pool()
