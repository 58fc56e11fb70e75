"""The same rows as one plain Arrow IPC file: what the disk and the file system take."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from benchmarks.cache.rows import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.cache.parts import Task

__all__ = ["PACKAGES", "SETTINGS", "loading"]

PACKAGES = ("pyarrow",)
SETTINGS = "one file, as the batches are, and fsync; not sorted, nothing can be looked up in it"


@contextmanager
def loading(task: Task) -> Iterator[Callable[[], None]]:
    """The rows are in memory."""
    rows = mapped(task.rows_file)

    def load() -> None:
        with (Path(task.folder) / "rows.arrow").open("wb") as file:
            with pa.ipc.new_file(file, rows.schema) as writer:
                writer.write_table(rows)
            file.flush()
            os.fsync(file.fileno())

    yield load
