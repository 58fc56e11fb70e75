"""Rows -> their partitions, each in the table's sort order.

Rows are labelled first and sorted afterwards, by label. The other way round (sort, then find where
the values change) would lean on two notions of equality being one: Arrow's sort ties -0.0 with 0.0
and its hash tells them apart.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.sorting import SortOrder
    from pyiceberg.types import PrimitiveType

__all__ = ["split_by_partition"]


def split_by_partition(
    data: pa.Table, schema: Schema, spec: PartitionSpec, order: SortOrder
) -> Iterator[tuple[list[str | None], pa.Table]]:
    """Cut a table into its partitions.

    Args:
        data: With the table's columns.
        schema: The table's.
        spec: How it is partitioned.
        order: How rows are sorted within a partition.

    Yields:
        The partition's values, each in Iceberg's single-value binary form as base64 (None for null),
        and its rows. Nothing for no rows.
    """
    if data.num_rows == 0:
        return
    encoded = [_dictionary(_transformed(data, schema, part)) for part in spec.fields]
    groups, label = _labels([column.indices.to_numpy() for column in encoded], data.num_rows)
    taken = data.take(_sorted_indices(data, schema, order, label)) if len(groups) > 1 or order.fields else data
    start = 0
    for codes, rows in zip(groups, np.bincount(label, minlength=len(groups)).tolist(), strict=True):
        values = [
            _binary(schema, part, column.dictionary[int(code)].as_py())
            for part, column, code in zip(spec.fields, encoded, codes, strict=True)
        ]
        yield values, taken.slice(start, rows)
        start += rows


def _transformed(data: pa.Table, schema: Schema, part: PartitionField) -> pa.Array:
    if str(part.transform) == "void":
        return pa.nulls(data.num_rows)
    source = schema.find_field(part.source_id)
    column = data.column(cast("str", schema.find_column_name(part.source_id)))
    return _storage(_flat(part.transform.pyarrow_transform(source.field_type)(column)))


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _storage(column: pa.Array) -> pa.Array:
    # Arrow's kernels know a uuid's sixteen bytes, not the extension type around them.
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _dictionary(column: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_null(column.type):
        return pa.DictionaryArray.from_arrays(np.zeros(len(column), np.int32), pa.nulls(1))
    return column.dictionary_encode(null_encoding="encode")


def _labels(codes: list[NDArray[np.int32]], rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows of codes, and which of them each row has."""
    if not codes:
        return np.zeros((1, 0), np.int64), np.zeros(rows, np.int64)
    groups, label = np.unique(np.stack(codes, axis=1).astype(np.int64), axis=0, return_inverse=True)
    return groups, label.reshape(-1)


def _sorted_indices(data: pa.Table, schema: Schema, order: SortOrder, label: NDArray[np.int64]) -> pa.Array:
    # pyarrow sorts by columns. A table of another writer may be sorted by a transform: by its source
    # column it is in that order too, since order-preserving transforms are monotone. The columns get
    # names of their own, for a dot in a name would be read as a path.
    from pyiceberg.table.sorting import NullOrder, SortDirection

    columns = {"partition": pa.array(label)}
    keys = [("partition", "ascending", "at_start")]
    for number, part in enumerate(order.fields):
        name = f"sort{number}"
        columns[name] = _storage(_flat(data.column(cast("str", schema.find_column_name(part.source_id)))))
        keys.append(
            (
                name,
                "descending" if part.direction == SortDirection.DESC else "ascending",
                "at_start" if part.null_order == NullOrder.NULLS_FIRST else "at_end",
            )
        )
    return pc.call_function("sort_indices", [pa.table(columns)], pc.SortOptions(sort_keys=keys))


def _binary(schema: Schema, part: PartitionField, value: Any) -> str | None:
    from pyiceberg.conversions import to_bytes
    from pyiceberg.partitioning import partition_record_value

    if value is None:
        return None
    source = schema.find_field(part.source_id).field_type
    kind = part.transform.result_type(source)
    if str(part.transform) == "identity":
        value = bytes(value) if str(source) == "uuid" else partition_record_value(part, value, schema)
    return base64.b64encode(to_bytes(cast("PrimitiveType", kind), value)).decode()
