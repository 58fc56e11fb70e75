"""pyarrow.dataset: over the files that pyiceberg plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contenders.opened import open_table, plan, scanner, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow.dataset as ds

    from benchmarks.workloads import Task

PACKAGE = "pyarrow"
SETTINGS = "dataset of fragments with sizes over S3FileSystem: pre_buffer, 32 I/O threads and files ahead, system pool"
_IO_THREADS = 32  # the documentation's advice for object stores: more than the default of 8


def reader(task: Task) -> Callable[[], Any]:
    """A dataset, to a table or in batches."""
    import pyarrow as pa
    from pyarrow.fs import S3FileSystem

    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_io_thread_count(_IO_THREADS)
    table = open_table(task)
    store = S3FileSystem(
        access_key=task.properties["s3.access-key-id"],
        secret_key=task.properties["s3.secret-access-key"],
        endpoint_override=task.properties["s3.endpoint"],
        region=task.properties["s3.region"],
        scheme="http",
    )

    def files() -> list[tuple[str, int]]:
        return [(uri.removeprefix("s3://"), size) for uri, size in plan(task, table)]

    # Known beforehand to whoever knows the table: a round trip that isn't timed.
    schema = schema_of(task, files()[0], store)

    def scan() -> ds.Scanner:
        return scanner(task, files(), store, schema)

    return (lambda: scan().to_batches()) if task.stream else (lambda: scan().to_table())
