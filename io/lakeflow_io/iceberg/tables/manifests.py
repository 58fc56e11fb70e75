"""A snapshot's manifests, one a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.types import PrimitiveType

__all__ = ["manifests_table"]

_SUMMARY = pa.list_(
    pa.struct(
        [
            ("field", pa.string()),
            ("contains_null", pa.bool_()),
            ("contains_nan", pa.bool_()),
            ("lower", pa.string()),
            ("upper", pa.string()),
        ]
    )
)
_SCHEMA = pa.schema(
    [
        ("content", pa.string()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("spec_id", pa.int32()),
        ("sequence_number", pa.int64()),
        ("min_sequence_number", pa.int64()),
        ("snapshot_id", pa.int64()),
        ("added_files", pa.int32()),
        ("existing_files", pa.int32()),
        ("deleted_files", pa.int32()),
        ("added_rows", pa.int64()),
        ("existing_rows", pa.int64()),
        ("deleted_rows", pa.int64()),
        ("partitions", _SUMMARY),
    ]
)


def manifests_table(table: Table, snapshot: Snapshot | None) -> pa.Table:
    """One row a manifest; what its writer didn't count is null. Bounds of partitions are shown as people write them."""
    manifests = [] if snapshot is None else snapshot.manifests(table.io)
    rows = [
        {
            "content": "deletes" if int(manifest.content) else "data",
            "path": manifest.manifest_path,
            "bytes": manifest.manifest_length,
            "spec_id": manifest.partition_spec_id,
            "sequence_number": manifest.sequence_number,
            "min_sequence_number": manifest.min_sequence_number,
            "snapshot_id": manifest.added_snapshot_id,
            "added_files": manifest.added_files_count,
            "existing_files": manifest.existing_files_count,
            "deleted_files": manifest.deleted_files_count,
            "added_rows": manifest.added_rows_count,
            "existing_rows": manifest.existing_rows_count,
            "deleted_rows": manifest.deleted_rows_count,
            "partitions": _summaries(table, manifest),
        }
        for manifest in manifests
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _summaries(table: Table, manifest: ManifestFile) -> list[dict[str, object]]:
    from pyiceberg.conversions import from_bytes
    from pyiceberg.transforms import UnknownTransform

    schema, fields = table.metadata.schema(), table.metadata.specs()[manifest.partition_spec_id].fields
    found = []
    for part, summary in zip(fields, manifest.partitions or [], strict=False):
        row: dict[str, object] = {
            "field": part.name,
            "contains_null": summary.contains_null,
            "contains_nan": summary.contains_nan,
        }
        # Without its source column or its transform nobody knows what a value means.
        if schema.find_column_name(part.source_id) and not isinstance(part.transform, UnknownTransform):
            source = schema.find_field(part.source_id).field_type
            kind = part.transform.result_type(source)
            for name, bound in (("lower", summary.lower_bound), ("upper", summary.upper_bound)):
                if bound is not None:
                    row[name] = part.transform.to_human_string(source, from_bytes(cast("PrimitiveType", kind), bound))
        found.append(row)
    return found
