"""A snapshot's partitions, one a row, with what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.iceberg.live import live_entries
from lakeflow_io.iceberg.tables.names import partition_text

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["PARTITIONS", "partitions_table"]

_COUNTED = (
    ("rows", "files"),
    ("position_deletes", "position_delete_files"),
    ("equality_deletes", "equality_delete_files"),
)
"""Rows and files, by what a file holds."""
PARTITIONS = pa.schema(
    [
        ("partition", pa.string()),
        ("spec_id", pa.int32()),
        *((name, pa.int64()) for pair in _COUNTED for name in pair),
        ("bytes", pa.int64()),
        ("last_changed", pa.timestamp("ms", "UTC")),
        ("last_snapshot_id", pa.int64()),
    ]
)
"""What is told of a partition."""


def partitions_table(table: Table, snapshot: Snapshot | None) -> pa.Table:
    """One row a partition and a partition spec, sorted; an unpartitioned table has one, named "".

    `rows` are those of data files, before deletes; `bytes` too are those of data files. The last
    change is known as long as the snapshot that made it hasn't expired.
    """
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for entry in live_entries(table, snapshot):
        file = entry.data_file
        key = file.spec_id, partition_text(table, file)
        row = found.setdefault(
            key,
            {"partition": key[1], "spec_id": key[0], "bytes": 0}
            | dict.fromkeys((name for pair in _COUNTED for name in pair), 0),
        )
        rows, files = _COUNTED[file.content]
        row[rows] += file.record_count
        row[files] += 1
        row["bytes"] += file.file_size_in_bytes if file.content == 0 else 0
        changed = None if entry.snapshot_id is None else table.metadata.snapshot_by_id(entry.snapshot_id)
        if changed is not None and changed.timestamp_ms >= row.get("last_changed", 0):
            row |= {"last_changed": changed.timestamp_ms, "last_snapshot_id": changed.snapshot_id}
    return pa.Table.from_pylist([found[key] for key in sorted(found)], schema=PARTITIONS)
