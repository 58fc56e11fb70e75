"""lakeflow: a batch engine for the data lakehouse.

    import lakeflow as lf

    lake = lf.connect()                          # a lakehouse in ./lakehouse
    titles = lake.table("kg.titles")
    titles.scan(where="year >= 2000").read().to_polars()
    lf.foreach(titles.scan().shards(n=8), score, into=lake.table("kg.scores"))
    lf.Cache("scores").get(42)

Names are imported when they are first used, so that `import lakeflow` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakeflow import cache, serve
    from lakeflow.cache.cache import Cache
    from lakeflow.cache.opening import CacheReader, open_cache
    from lakeflow.cache.precompute import precompute
    from lakeflow.cache.reading.version import CacheVersion
    from lakeflow.dataframe import DataFrame
    from lakeflow.lake import Lake, connect
    from lakeflow.parquet import read_parquet, scan_parquet
    from lakeflow.runs.foreach import foreach
    from lakeflow.runs.resume import resume
    from lakeflow.runs.run import Run
    from lakeflow.runs.state.listing import RunInfo
    from lakeflow.scan import Scan
    from lakeflow.serve.client import Client
    from lakeflow.snapshot import Snapshot
    from lakeflow.static import open_table
    from lakeflow.table import Table
    from lakeflow_io import errors
    from lakeflow_io.errors import LakeflowError
    from lakeflow_io.iceberg.shards import Shard
    from lakeflow_io.reader import ScanReport

__version__ = "0.1.0"
__all__ = [
    "Cache",
    "CacheReader",
    "CacheVersion",
    "Client",
    "DataFrame",
    "Lake",
    "LakeflowError",
    "Run",
    "RunInfo",
    "Scan",
    "ScanReport",
    "Shard",
    "Snapshot",
    "Table",
    "cache",
    "connect",
    "errors",
    "foreach",
    "open_cache",
    "open_table",
    "precompute",
    "read_parquet",
    "resume",
    "scan_parquet",
    "serve",
]

_MODULES = {"cache": "lakeflow.cache", "errors": "lakeflow_io.errors", "serve": "lakeflow.serve"}
_HOMES = {
    "Cache": "lakeflow.cache.cache",
    "CacheReader": "lakeflow.cache.opening",
    "CacheVersion": "lakeflow.cache.reading.version",
    "Client": "lakeflow.serve.client",
    "DataFrame": "lakeflow.dataframe",
    "Lake": "lakeflow.lake",
    "LakeflowError": "lakeflow_io.errors",
    "Run": "lakeflow.runs.run",
    "RunInfo": "lakeflow.runs.state.listing",
    "Scan": "lakeflow.scan",
    "ScanReport": "lakeflow_io.reader.report",
    "Shard": "lakeflow_io.iceberg.shards",
    "Snapshot": "lakeflow.snapshot",
    "Table": "lakeflow.table",
    "connect": "lakeflow.lake",
    "foreach": "lakeflow.runs.foreach",
    "open_cache": "lakeflow.cache.opening",
    "open_table": "lakeflow.static",
    "precompute": "lakeflow.cache.precompute",
    "read_parquet": "lakeflow.parquet",
    "resume": "lakeflow.runs.resume",
    "scan_parquet": "lakeflow.parquet",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'lakeflow' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
