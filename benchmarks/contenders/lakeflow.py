"""lakeflow: this project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads import Task

PACKAGE = "lakeflow"
SETTINGS = "as it comes; a stream has memory=256 MiB"
STREAM_MEMORY = "256 MiB"


def reader(task: Task) -> Callable[[], Any]:
    """`scan.read()`, or `scan.batches()`."""
    import lakeflow as lf

    table = lf.connect(**task.properties).table(task.table)
    if task.stream:
        return lambda: table.scan(columns=task.columns, where=task.condition).batches(memory=STREAM_MEMORY)
    return lambda: table.scan(columns=task.columns, where=task.condition).read().to_arrow()
