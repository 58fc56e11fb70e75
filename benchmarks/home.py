"""Where what the benchmarks make is kept."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["home"]


def home() -> Path:
    """`$LAKEFLOW_BENCH_HOME`, by default `lakeflow/benchmarks` in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("LAKEFLOW_BENCH_HOME") or cache / "lakeflow" / "benchmarks")
