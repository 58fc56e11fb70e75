"""lakeflow's cache with rows beside its columns, for caches that are larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.cache.contenders.lakeflow import PACKAGES, loading_as, reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from benchmarks.cache.parts import Task

__all__ = ["PACKAGES", "SETTINGS", "loading", "reading"]

SETTINGS = "as lakeflow, with layout='rows'"


def loading(task: Task) -> AbstractContextManager[Callable[[], None]]:
    """Both layouts."""
    return loading_as(task, "rows")
