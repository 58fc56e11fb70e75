"""What is known of a folder's files and partitions, as the tables that Iceberg's metadata has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.folder.hive import label
from lakeflow_io.iceberg.tables import FILES, PARTITIONS, with_statistics

if TYPE_CHECKING:
    from lakeflow_io.folder.source import Folder

__all__ = ["files_table", "partitions_table"]


def files_table(folder: Folder) -> pa.Table:
    """One row a file, with the columns of `lakeflow_io.iceberg.tables.files_table`; null is what a listing can't tell.

    `rows` and `split_offsets` are those of the footers that were read.
    """
    rows = []
    for file, partition in zip(folder.files, _partitions(folder), strict=True):
        layout = folder.layouts.get(file.uri)
        rows.append(
            {
                "content": "data",
                "path": file.uri,
                "format": "PARQUET",
                "partition": partition,
                "rows": layout.rows if layout else None,
                "bytes": file.size,
                "split_offsets": layout.splits if layout else None,
            }
        )
    return with_statistics(pa.Table.from_pylist(rows, FILES), [None] * len(rows), folder.schema)


def partitions_table(folder: Folder) -> pa.Table:
    """One row a partition, sorted, with the columns of `lakeflow_io.iceberg.tables.partitions_table`.

    `rows` are null where a footer wasn't read.
    """
    found: dict[str, dict[str, Any]] = {}
    for file, partition in zip(folder.files, _partitions(folder), strict=True):
        row = found.setdefault(partition, {"partition": partition, "rows": 0, "files": 0, "bytes": 0})
        layout = folder.layouts.get(file.uri)
        row["rows"] = None if layout is None or row["rows"] is None else row["rows"] + layout.rows
        row["files"] += 1
        row["bytes"] += file.size
    return pa.Table.from_pylist([found[name] for name in sorted(found)], schema=PARTITIONS)


def _partitions(folder: Folder) -> list[str]:
    names = folder.partitions.column_names
    if not names:
        return [""] * len(folder.files)
    columns = [folder.partitions[name].to_pylist() for name in names]
    return [label(names, values) for values in zip(*columns, strict=True)]
