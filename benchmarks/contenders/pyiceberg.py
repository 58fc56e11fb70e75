"""pyiceberg: its own scan, which decodes with pyarrow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.opened import open_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads import Task

PACKAGE = "pyiceberg"
SETTINGS = "32 workers (the default is made for CPUs, not for requests); pyarrow allocates from the system"
_WORKERS = "32"


def reader(task: Task) -> Callable[[], Any]:
    """`scan().to_arrow()`, or its batch reader."""
    os.environ["PYICEBERG_MAX_WORKERS"] = _WORKERS
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    table = open_table(task)

    def scan() -> Any:
        fields = tuple(task.columns) if task.columns else ("*",)
        chosen = table.scan(selected_fields=fields)
        return chosen.filter(task.condition) if task.condition else chosen

    return (lambda: scan().to_arrow_batch_reader()) if task.stream else (lambda: scan().to_arrow())
