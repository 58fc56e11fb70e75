"""One read of one table by one library, in a process of its own.

    python -m benchmarks.contenders NAME TABLE < catalog properties as JSON

Each is used as its documentation says is best for "the whole table, into Arrow". Imports and the
opening of the catalog are not timed; planning, fetching and decoding are.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CONTENDERS"]


def _lakeflow(properties: dict[str, str], table: str) -> Callable[[], int]:
    import lakeflow as lf

    opened = lf.connect(**properties).table(table)
    return lambda: len(opened.scan().read())


def _pyiceberg(properties: dict[str, str], table: str) -> Callable[[], int]:
    from pyiceberg.catalog import load_catalog

    opened = load_catalog("bench", **properties).load_table(table)
    return lambda: int(opened.scan().to_arrow().num_rows)


def _polars(properties: dict[str, str], table: str) -> Callable[[], int]:
    import polars as pl
    from pyiceberg.catalog import load_catalog

    opened = load_catalog("bench", **properties).load_table(table)
    storage = {
        "aws_endpoint_url": properties["s3.endpoint"],
        "aws_access_key_id": properties["s3.access-key-id"],
        "aws_secret_access_key": properties["s3.secret-access-key"],
        "aws_region": properties["s3.region"],
        "aws_allow_http": "true",
    }
    return lambda: int(pl.scan_iceberg(opened, storage_options=storage).collect().to_arrow().num_rows)


CONTENDERS = {"lakeflow": _lakeflow, "polars": _polars, "pyiceberg": _pyiceberg}


def main(name: str, table: str) -> None:
    """Read once and print the figures as JSON."""
    read = CONTENDERS[name](json.load(sys.stdin), table)
    before, started = time.process_time(), time.perf_counter()
    rows = read()
    figures: dict[str, Any] = {
        "version": version(name),
        "rows": rows,
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - before,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
