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

__all__ = ["files_table"]

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
    leaves = _leaves(schema)
    columns: dict[str, pa.Array] = {
        "content": pa.array([CONTENT[file.content] for file in files], pa.string()),
        "path": pa.array([file.file_path for file in files], pa.string()),
        "format": pa.array([file.file_format.value for file in files], pa.string()),
        "spec_id": pa.array([file.spec_id for file in files], pa.int32()),
        "partition": pa.array([partition_text(table, file) for file in files], pa.string()),
        "rows": pa.array([file.record_count for file in files], pa.int64()),
        "bytes": pa.array([file.file_size_in_bytes for file in files], pa.int64()),
        "sequence_number": pa.array([entry.sequence_number for entry in entries], pa.int64()),
        "snapshot_id": pa.array([entry.snapshot_id for entry in entries], pa.int64()),
        "sort_order_id": pa.array([file.sort_order_id for file in files], pa.int32()),
        "split_offsets": pa.array([file.split_offsets for file in files], pa.list_(pa.int64())),
        "equality_ids": pa.array([file.equality_ids for file in files], pa.list_(pa.int32())),
    }
    for name in _COUNTS:
        columns[name] = _struct(leaves, _counts(files, name, leaves), len(files))
    for name in _BOUNDS:
        columns[name] = _struct(leaves, _bounds(files, name, leaves), len(files))
    return pa.table(columns)


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


def _counts(files: Sequence[DataFile], name: str, leaves: Sequence[Any]) -> Iterator[pa.Array]:
    found: list[Mapping[int, int]] = [getattr(file, name) or {} for file in files]
    for field_id, _, _, _ in leaves:
        yield pa.array([each.get(field_id) for each in found], pa.int64())


def _bounds(files: Sequence[DataFile], name: str, leaves: Sequence[Any]) -> Iterator[pa.Array]:
    found: list[Mapping[int, bytes]] = [getattr(file, name) or {} for file in files]
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
