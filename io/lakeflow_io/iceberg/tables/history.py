"""Which snapshot was the current one when, and what branches and tags there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.iceberg.refs import ancestors

if TYPE_CHECKING:
    from pyiceberg.table import Table

__all__ = ["history_table", "refs_table"]

_HISTORY = pa.schema(
    [
        ("made_current", pa.timestamp("ms", "UTC")),
        ("snapshot_id", pa.int64()),
        ("parent_id", pa.int64()),
        ("is_current_ancestor", pa.bool_()),
    ]
)
_REFS = pa.schema(
    [
        ("name", pa.string()),
        ("type", pa.string()),
        ("snapshot_id", pa.int64()),
        ("max_ref_age_ms", pa.int64()),
        ("max_snapshot_age_ms", pa.int64()),
        ("min_snapshots_to_keep", pa.int32()),
    ]
)


def history_table(table: Table) -> pa.Table:
    """One row each time that main moved, oldest first; after a roll-back some no longer lead to the current one."""
    line = {snapshot.snapshot_id for snapshot in ancestors(table, table.current_snapshot())}
    rows = []
    for entry in table.metadata.snapshot_log:
        snapshot = table.metadata.snapshot_by_id(entry.snapshot_id)
        rows.append(
            {
                "made_current": entry.timestamp_ms,
                "snapshot_id": entry.snapshot_id,
                "parent_id": snapshot.parent_snapshot_id if snapshot else None,
                "is_current_ancestor": entry.snapshot_id in line,
            }
        )
    return pa.Table.from_pylist(rows, schema=_HISTORY)


def refs_table(table: Table) -> pa.Table:
    """One row a branch or tag, by name, with how long it and its snapshots are to be kept."""
    rows = [
        {
            "name": name,
            "type": ref.snapshot_ref_type.value,
            "snapshot_id": ref.snapshot_id,
            "max_ref_age_ms": ref.max_ref_age_ms,
            "max_snapshot_age_ms": ref.max_snapshot_age_ms,
            "min_snapshots_to_keep": ref.min_snapshots_to_keep,
        }
        for name, ref in sorted(table.metadata.refs.items())
    ]
    return pa.Table.from_pylist(rows, schema=_REFS)
