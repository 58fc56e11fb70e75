"""What peers that plan with pyiceberg share: the opened table, and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.tables import CATALOG

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from pyiceberg.table import Table

    from benchmarks.workloads import Task

__all__ = ["open_table", "plan", "scanner"]


def open_table(task: Task) -> Table:
    """The pyiceberg table."""
    from pyiceberg.catalog import load_catalog

    return load_catalog(CATALOG, **task.properties).load_table(task.table)


def plan(task: Task, table: Table) -> list[str]:
    """URIs of the data files that may have rows that are wanted."""
    scan = table.scan(row_filter=task.condition) if task.condition else table.scan()
    return [each.file.file_path for each in scan.plan_files()]


def scanner(task: Task, paths: list[str], **options: Any) -> ds.Scanner:
    """A pyarrow scan of data files; `options` are the dataset's.

    pyarrow can't filter string views: a scan with a condition reads text into plain strings, and one
    without reads it as the files' own schema says, which is cheaper.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    options = {"format": "parquet", **options}
    files = ds.dataset(paths, **options)
    if task.where is not None:
        plain = [x.with_type(pa.string()) if x.type == pa.string_view() else x for x in files.schema]
        files = ds.dataset(paths, **options, schema=pa.schema(plain))
    return files.scanner(columns=task.columns, filter=_expression(task))


def _expression(task: Task) -> ds.Expression | None:
    """`where`, as pyarrow words it."""
    import pyarrow.dataset as ds

    if task.where is None:
        return None
    column, first, end = task.where
    return (ds.field(column) >= first) & (ds.field(column) < end)
