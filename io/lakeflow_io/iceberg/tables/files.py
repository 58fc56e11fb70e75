"""A snapshot's files, one a row, with their statistics by the names of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.iceberg.expected import leaf_ids
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.live import live_entries
from lakeflow_io.iceberg.tables.names import CONTENT, partition_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["FILES", "files_table", "with_statistics"]

FILES = pa.schema(
    [
        ("content", pa.string()),
        ("path", pa.string()),
        ("format", pa.string()),
        ("spec_id", pa.int32()),
        ("partition", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("sequence_number", pa.int64()),
        ("snapshot_id", pa.int64()),
        ("sort_order_id", pa.int32()),
        ("split_offsets", pa.list_(pa.int64())),
        ("equality_ids", pa.list_(pa.int32())),
    ]
)
"""What is told of a file, besides statistics."""

_COUNTS = ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
_BOUNDS = ("lower_bounds", "upper_bounds")


def files_table(table: Table, snapshot: Snapshot | None, schema: Schema) -> pa.Table:
    """One row a data or delete file.

    Counts and bounds are structs with a field for each leaf column, a field of a struct by its dotted
    name; null where the manifest doesn't say. A bound of text or bytes may be cut, as its writer cut it.

    Args:
        table: Whose.
        snapshot: Of which state; None for a table without any.
        schema: Whose columns are shown.
    """
    entries = live_entries(table, snapshot)
    files = [entry.data_file for entry in entries]
    rows = [
        {
            "content": CONTENT[file.content],
            "path": file.file_path,
            "format": file.file_format.value,
            "spec_id": file.spec_id,
            "partition": partition_text(table, file),
            "rows": file.record_count,
            "bytes": file.file_size_in_bytes,
            "sequence_number": entry.sequence_number,
            "snapshot_id": entry.snapshot_id,
            "sort_order_id": file.sort_order_id,
            "split_offsets": file.split_offsets,
            "equality_ids": file.equality_ids,
        }
        for entry, file in zip(entries, files, strict=True)
    ]
    return with_statistics(pa.Table.from_pylist(rows, FILES), files, schema)


def with_statistics(rows: pa.Table, files: Sequence[DataFile | None], schema: Schema) -> pa.Table:
    """`rows`, one a file, and the files' counts and bounds by column; null where there is no file to tell them."""
    leaves = _leaves(schema)
    for name in _COUNTS:
        rows = rows.append_column(name, _struct(leaves, _counts(files, name, leaves), len(files)))
    for name in _BOUNDS:
        rows = rows.append_column(name, _struct(leaves, _bounds(files, name, leaves), len(files)))
    return rows


def _leaves(schema: Schema) -> list[tuple[int, str, Any, pa.DataType]]:
    """Field id, dotted name, Iceberg type and Arrow type of each leaf column."""
    from pyiceberg.schema import Schema

    found = []
    for field_id in leaf_ids(schema.fields):
        field = schema.find_field(field_id)
        kind = arrow_schema(Schema(field)).field(0).type
        found.append((field_id, str(schema.find_column_name(field_id)), field.field_type, kind))
    return found


def _struct(leaves: Sequence[Any], children: Iterator[pa.Array], rows: int) -> pa.Array:
    if not leaves:
        return pa.array([{}] * rows, pa.struct([]))
    return pa.StructArray.from_arrays(list(children), names=[name for _, name, _, _ in leaves])


def _counts(files: Sequence[DataFile | None], name: str, leaves: Sequence[Any]) -> Iterator[pa.Array]:
    found: list[Mapping[int, int]] = [getattr(file, name, None) or {} for file in files]
    for field_id, _, _, _ in leaves:
        yield pa.array([each.get(field_id) for each in found], pa.int64())


def _bounds(files: Sequence[DataFile | None], name: str, leaves: Sequence[Any]) -> Iterator[pa.Array]:
    found: list[Mapping[int, bytes]] = [getattr(file, name, None) or {} for file in files]
    for field_id, _, kind, arrow in leaves:
        storage = arrow.storage_type if isinstance(arrow, pa.BaseExtensionType) else arrow
        values = pa.array([_decoded(kind, each.get(field_id)) for each in found], storage)
        yield values if storage == arrow else pa.ExtensionArray.from_storage(arrow, values)


def _decoded(kind: Any, bound: bytes | None) -> Any:
    from struct import error as struct_error

    from pyiceberg.conversions import from_bytes

    if bound is None:
        return None
    try:
        return from_bytes(kind, bound)
    except (ValueError, TypeError, struct_error):  # written by someone who means something else by it
        return None
