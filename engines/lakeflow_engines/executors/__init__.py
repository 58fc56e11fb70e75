"""One seam, three executors: serial, threads, Dask."""

from __future__ import annotations

from lakeflow_engines.executors.choose import check_engine, open_executor
from lakeflow_engines.executors.seam import Completion, Executor

__all__ = ["Completion", "Executor", "check_engine", "open_executor"]
