"""A cache whose writer, collector and readers are killed at random moments, looked at after every kill."""

from benchmarks.cache.kills.kills import STORES, run_kills

__all__ = ["STORES", "run_kills"]
