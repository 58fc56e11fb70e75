"""What is measured, of whom, and what each process is told."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PARTS", "Part", "Task"]


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of measurement."""

    of: tuple[str, ...]
    """The contenders that can do it."""
    figures: tuple[str, ...]
    """What a run of it says, beside others; medians are taken of these."""
    alone: bool = False
    """Whether it makes what it needs itself, and needs nothing that was loaded."""
    summed: tuple[str, ...] = ()
    """Of these figures the sum over all runs is taken."""


_EMBEDDED = ("lakeflow", "lakeflow_rows", "lmdb", "rocksdict")
_READERS = (*_EMBEDDED, "valkey")
_TORN = ("torn_reads", "row_reads", "publishes")

PARTS: dict[str, Part] = {
    "load": Part((*_READERS, "ipc"), ("wall_s", "rows_per_s")),
    "precompute": Part(("lakeflow",), ("wall_s", "rows_per_s"), alone=True),
    "get": Part(_READERS, ("p50_us", "p99_us")),
    "get_many": Part(_READERS, ("p50_ms", "p99_ms")),
    "cold": Part(_EMBEDDED, ("p50_us", "p99_us", "many_ms")),
    "push": Part(("lakeflow",), ("wall_s", "rows_per_s")),
    "http": Part(
        ("lakeflow", "valkey"),
        ("requests_per_s", "p99_ms", "batch_keys_per_s", "batch_json_keys_per_s", "limit_requests_per_s"),
    ),
    "open": Part(("lakeflow",), ("open_ms", "first_ms", "own_mb", "gigabytes"), alone=True),
    "rollback": Part(("lakeflow",), ("rollback_ms",), alone=True),
    "torn": Part(
        ("lakeflow", "valkey"), (*_TORN, "visible_ms", "steady_p99_ms", "switch_p99_ms"), alone=True, summed=_TORN
    ),
}
"""By name, in the order in which they are measured."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a process that measures is told."""

    rows_file: str
    """Arrow IPC: what is loaded."""
    rows: int
    folder: str
    """Of the contender, on disk."""
    socket: str = ""
    """Of the Valkey server, where there is one."""
    seed: int = 0
    """Of the keys that are asked for."""
