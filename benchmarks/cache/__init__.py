"""Precomputed rows: loaded, looked up, pushed and served, by lakeflow's cache and by what one would use instead."""

from __future__ import annotations

from benchmarks.cache.contenders import CONTENDERS
from benchmarks.cache.parts import PARTS
from benchmarks.cache.run import run_cache

__all__ = ["CONTENDERS", "PARTS", "run_cache"]
