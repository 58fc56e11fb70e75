"""What peers that plan with pyiceberg share: the opened table, and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.tables import CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyiceberg.table import Table

    from benchmarks.workloads import Task

__all__ = ["open_table", "plan", "scanner", "schema_of", "wanted"]

# Its documentation: more than the default of 4 uses more memory, and the network better.
_FRAGMENTS_AHEAD = 32


def open_table(task: Task) -> Table:
    """The pyiceberg table."""
    from pyiceberg.catalog import load_catalog

    return load_catalog(CATALOG, **task.properties).load_table(task.table)


def plan(task: Task, table: Table) -> list[tuple[str, int]]:
    """URI and size in bytes of each data file that may have rows that are wanted."""
    scan = table.scan(row_filter=task.condition) if task.condition else table.scan()
    return [(each.file.file_path, each.file.file_size_in_bytes) for each in scan.plan_files()]


def schema_of(task: Task, file: tuple[str, int], store: Any) -> pa.Schema:
    """What a scan reads files like this one as, from its footer.

    pyarrow can't filter string views: a scan with a condition reads text into plain strings, and one
    without reads it as the files' own schema says, which is cheaper.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    schema = ds.ParquetFileFormat().make_fragment(file[0], store, file_size=file[1]).physical_schema
    if task.where is None:
        return schema
    return pa.schema([each.with_type(pa.string()) if each.type == pa.string_view() else each for each in schema])


def scanner(task: Task, files: list[tuple[str, int]], store: Any, schema: pa.Schema) -> ds.Scanner:
    """A pyarrow scan of data files, by path and size: with its size, a file needs no request for it."""
    import pyarrow.dataset as ds

    form = ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=True))
    fragments = [form.make_fragment(path, store, file_size=size) for path, size in files]
    ahead = {} if task.stream else {"fragment_readahead": _FRAGMENTS_AHEAD}
    return ds.FileSystemDataset(fragments, schema, form, store).scanner(
        columns=task.columns, filter=wanted(task, ds.field), **ahead
    )


def wanted(task: Task, field: Callable[[str], Any]) -> Any:
    """`where` as an expression over what `field` makes of a column's name; None where there is none."""
    if task.where is None:
        return None
    column, first, end = task.where
    return (field(column) >= first) & (field(column) < end)
