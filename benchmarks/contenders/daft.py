"""Daft: its own Iceberg reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.opened import open_table, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads import Task

PACKAGE = "daft"
SETTINGS = "read_iceberg on the native runner, as it comes"


def reader(task: Task) -> Callable[[], Any]:
    """`read_iceberg`, to Arrow or in batches."""
    os.environ |= {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "true", "DAFT_PROGRESS_BAR": "0"}
    import daft
    from daft.io import IOConfig, S3Config

    table = open_table(task)
    store = S3Config(
        endpoint_url=task.properties["s3.endpoint"],
        region_name=task.properties["s3.region"],
        key_id=task.properties["s3.access-key-id"],
        access_key=task.properties["s3.secret-access-key"],
        use_ssl=False,
    )

    def frame() -> daft.DataFrame:
        read = daft.read_iceberg(table, io_config=IOConfig(s3=store))
        condition = wanted(task, daft.col)
        if condition is not None:
            read = read.where(condition)
        return read if task.columns is None else read.select(*task.columns)

    return (lambda: frame().to_arrow_iter()) if task.stream else (lambda: frame().to_arrow())
