"""Runs that are killed at random moments, resumed until they are done, and checked row by row."""

from benchmarks.chaos.chaos import run_chaos

__all__ = ["run_chaos"]
