"""A versioned key-value cache, in folders or on object stores: immutable Arrow shards, verified, then one pointer swap.

In a few lines:

    cache = Cache("scores", "./caches")
    cache.load(table, key="title_id")        # a new version, published when it is complete
    cache.get(42)                            # {"title_id": 42, "score": 0.7}, or None
    cache.get_many([42, 43, 42])             # a pyarrow.Table, in the order asked
    cache.rollback()                         # the version before
"""

from __future__ import annotations

from lakeflow.cache.cache import Cache
from lakeflow.cache.opening import CacheReader, open_cache
from lakeflow.cache.publishing.checks import Check, drift_from_previous, max_null, min_rows
from lakeflow.cache.publishing.retention import Collected
from lakeflow.cache.reading.version import CacheVersion, OpenVersion
from lakeflow.cache.stats import CacheStats

__all__ = [
    "Cache",
    "CacheReader",
    "CacheStats",
    "CacheVersion",
    "Check",
    "Collected",
    "OpenVersion",
    "drift_from_previous",
    "max_null",
    "min_rows",
    "open_cache",
]
