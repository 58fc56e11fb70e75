"""Staged files -> one snapshot, labelled so that a second try finds the first."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.types import PrimitiveType

__all__ = ["RUN_ID", "append_staged", "find_snapshot"]

RUN_ID = "lakeflow.run-id"


def append_staged(table: Table, name: str, staged: Sequence[dict[str, Any]], summary: Mapping[str, str]) -> Snapshot:
    """Commit files written by `Stager.write` as one APPEND snapshot.

    Args:
        table: As last read; refreshed by the catalog's client when another writer was faster.
        name: For messages.
        staged: The files' descriptions.
        summary: Extra entries of the snapshot's summary.

    Returns:
        The new snapshot.

    Raises:
        CommitConflictError: other writers kept winning; nothing is visible.
        CatalogError: the catalog failed. The commit may have landed: `find_snapshot` tells.
    """
    with translated(f"commit to {name}"):
        transaction = table.transaction()
        append = transaction.update_snapshot(snapshot_properties=dict(summary)).fast_append()
        for file in staged:
            append.append_data_file(_data_file(table, file))
        append.commit()
        committed = transaction.commit_transaction()
        snapshot = committed.metadata.snapshot_by_id(append.snapshot_id)
        assert snapshot is not None  # noqa: S101  (just committed under this id)
        return snapshot


def find_snapshot(table: Table, run_id: str) -> Snapshot | None:
    """The ancestor of the current snapshot that this run committed, if any."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        if snapshot.summary is not None and snapshot.summary.additional_properties.get(RUN_ID) == run_id:
            return snapshot
        parent = snapshot.parent_snapshot_id
        snapshot = table.metadata.snapshot_by_id(parent) if parent is not None else None
    return None


def _data_file(table: Table, file: dict[str, Any]) -> DataFile:
    from pyiceberg.conversions import from_bytes
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    spec = table.metadata.specs()[file["spec_id"]]
    kinds = [field.field_type for field in spec.partition_type(table.schema()).fields]
    values = [
        None if value is None else from_bytes(cast("PrimitiveType", kind), base64.b64decode(value))
        for kind, value in zip(kinds, file["partition"], strict=True)
    ]
    by_id = {
        name: {int(k): v for k, v in file[name].items()}
        for name in ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
    }
    bounds = {
        name: {int(k): base64.b64decode(v) for k, v in file[name].items()} for name in ("lower_bounds", "upper_bounds")
    }
    return DataFile.from_args(
        _table_format_version=table.format_version,
        content=DataFileContent.DATA,
        file_path=file["path"],
        file_format=FileFormat.PARQUET,
        partition=Record(*values),
        record_count=file["rows"],
        file_size_in_bytes=file["bytes"],
        sort_order_id=file["sort_order_id"],
        spec_id=file["spec_id"],
        split_offsets=file["split_offsets"],
        equality_ids=None,
        key_metadata=None,
        **by_id,
        **bounds,
    )
