"""Metaflow's S3 client, which downloads whole files with worker processes; pyarrow reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.opened import open_table, plan, scanner, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow.dataset as ds

    from benchmarks.workloads import Task

PACKAGE = "metaflow"
SETTINGS = "S3.get_many of the planned files into memory (/dev/shm; on disk for a stream), pyarrow.dataset over them"
_IN_MEMORY = "/dev/shm"  # noqa: S108  (what Metaflow's documentation advises: use_tmpfs)


def reader(task: Task) -> Callable[[], Any]:
    """`get_many`, then a dataset of local files."""
    os.environ |= {
        "METAFLOW_S3_ENDPOINT_URL": task.properties["s3.endpoint"],
        "METAFLOW_USER": "benchmark",
        "AWS_ACCESS_KEY_ID": task.properties["s3.access-key-id"],
        "AWS_SECRET_ACCESS_KEY": task.properties["s3.secret-access-key"],
        "AWS_DEFAULT_REGION": task.properties["s3.region"],
    }
    import pyarrow as pa
    from metaflow import S3
    from pyarrow.fs import LocalFileSystem

    pa.set_memory_pool(pa.system_memory_pool())
    table = open_table(task)
    in_memory = Path(_IN_MEMORY).is_dir() and not task.stream
    place = {"tmproot": _IN_MEMORY} if in_memory else {}

    def scan(client: Any) -> ds.Scanner:
        got = client.get_many([uri for uri, _ in plan(task, table)], return_info=False)
        files, local = [(each.path, Path(each.path).stat().st_size) for each in got], LocalFileSystem()
        return scanner(task, files, local, schema_of(task, files[0], local))

    def whole() -> pa.Table:
        with S3(**place) as client:
            return scan(client).to_table()

    def batches() -> Any:
        with S3(**place) as client:
            yield from scan(client).to_batches()

    return batches if task.stream else whole
