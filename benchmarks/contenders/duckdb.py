"""DuckDB: iceberg_scan over httpfs, with the extensions that its wheels carry."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.opened import open_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads import Task

PACKAGE = "duckdb"
SETTINGS = "iceberg_scan, 8 threads a core (its I/O blocks), no insertion order, strings as views"
_THREADS_PER_CORE = 8  # its documentation: two to five for remote files; here eight is faster yet
_EXTENSIONS = ("httpfs", "avro", "iceberg")


def reader(task: Task) -> Callable[[], Any]:
    """One query, to an Arrow table or in batches."""
    import duckdb

    database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in _EXTENSIONS:
        database.execute(f"LOAD '{_extension(name)}'")
    database.execute(f"SET threads = {len(os.sched_getaffinity(0)) * _THREADS_PER_CORE}")
    database.execute("SET preserve_insertion_order = false")
    database.execute("SET produce_arrow_string_view = true")
    database.execute(
        "CREATE SECRET (TYPE s3, PROVIDER config, KEY_ID $key, SECRET $secret, REGION $region,"
        " ENDPOINT $endpoint, URL_STYLE 'path', USE_SSL false)",
        {
            "key": task.properties["s3.access-key-id"],
            "secret": task.properties["s3.secret-access-key"],
            "region": task.properties["s3.region"],
            "endpoint": task.properties["s3.endpoint"].removeprefix("http://"),
        },
    )
    metadata = open_table(task).metadata_location
    # Others have read it when they have opened the table; this puts it into the cache of external files.
    database.execute("SELECT content FROM read_text($metadata)", {"metadata": metadata}).fetchall()
    where = f" WHERE {task.condition}" if task.condition else ""
    query = f"SELECT {', '.join(task.columns or ['*'])} FROM iceberg_scan('{metadata}'){where}"  # noqa: S608  (ours)
    if task.stream:
        return lambda: database.sql(query).to_arrow_reader()
    return lambda: database.sql(query).to_arrow_table()


def _extension(name: str) -> Path:
    package = find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(f"No module named 'duckdb_extension_{name}'")
    return next(Path(package.origin).parent.glob(f"extensions/*/{name}.duckdb_extension"))
