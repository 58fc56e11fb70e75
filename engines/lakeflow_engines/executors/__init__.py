"""One seam, three executors: serial, threads, Dask; and a fourth that runs nothing, for tests of schedulers."""

from __future__ import annotations

from lakeflow_engines.executors.choose import check_engine, open_executor
from lakeflow_engines.executors.seam import Completion, Executor
from lakeflow_engines.executors.virtual import Fate, VirtualExecutor

__all__ = ["Completion", "Executor", "Fate", "VirtualExecutor", "check_engine", "open_executor"]
