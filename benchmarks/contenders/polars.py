"""Polars: its own Iceberg scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contenders.opened import open_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads import Task

PACKAGE = "polars"
SETTINGS = "scan_iceberg with the native reader; strings leave as views, which costs it no copy"


def reader(task: Task) -> Callable[[], Any]:
    """`scan_iceberg`, collected or in batches."""
    import polars as pl

    table = open_table(task)
    storage = {
        "aws_endpoint_url": task.properties["s3.endpoint"],
        "aws_access_key_id": task.properties["s3.access-key-id"],
        "aws_secret_access_key": task.properties["s3.secret-access-key"],
        "aws_region": task.properties["s3.region"],
        "aws_allow_http": "true",
    }
    newest = pl.CompatLevel.newest()

    def frame() -> pl.LazyFrame:
        scan = pl.scan_iceberg(table, storage_options=storage, reader_override="native")
        if task.where is not None:
            column, first, end = task.where
            scan = scan.filter(pl.col(column).is_between(first, end, closed="left"))
        return scan if task.columns is None else scan.select(task.columns)

    def batches() -> Any:
        for part in frame().collect_batches():
            yield from part.to_arrow(compat_level=newest).to_batches()

    return batches if task.stream else lambda: frame().collect().to_arrow(compat_level=newest)
