"""Rows -> their partitions, and rows in a table's sort order."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.sorting import SortField, SortOrder
    from pyiceberg.types import IcebergType, PrimitiveType

__all__ = ["binary_value", "partition_rows", "sort_rows"]

_MOST_16_BITS = 2**16
# Combinations of partition values that are counted one by one; of more, those that occur are sorted out.
_MOST_COUNTED = 2**20


def partition_rows(
    data: pa.Table, schema: Schema, spec: PartitionSpec
) -> Iterator[tuple[tuple[str | None, ...], NDArray[np.int64]]]:
    """Tell which rows belong to which partition.

    Args:
        data: With at least the columns that the spec looks at.
        schema: The table's.
        spec: How it is partitioned.

    Yields:
        The partition's values, each in Iceberg's single-value binary form as base64 (None for null),
        and the numbers of its rows, ascending. Nothing for no rows.
    """
    if data.num_rows == 0:
        return
    if not spec.fields:
        yield (), np.arange(data.num_rows)
        return
    encoded = [_dictionary(_transformed(data, schema, part)) for part in spec.fields]
    groups, label = _labels([(column.indices.to_numpy(), len(column.dictionary)) for column in encoded])
    # Of numbers of 16 bits, numpy's stable sort is one by digits, a tenth of the time.
    rows = np.argsort(label.astype(np.uint16) if len(groups) <= _MOST_16_BITS else label, kind="stable")
    ends = np.cumsum(np.bincount(label, minlength=len(groups)))
    for codes, own in zip(groups, np.split(rows, ends[:-1]), strict=True):
        values = tuple(
            _partition_value(schema, part, column.dictionary[int(code)].as_py())
            for part, column, code in zip(spec.fields, encoded, codes, strict=True)
        )
        yield values, own


def sort_rows(data: pa.Table, schema: Schema, order: SortOrder) -> pa.Table:
    """Rows in the table's order; as they are where it has none."""
    if not order.fields:
        return data
    # pyarrow sorts by columns. A table of another writer may be sorted by a transform: by its source
    # column it is in that order too, where the transform keeps the order. The columns get names of
    # their own, for a dot in a name would be read as a path.
    from pyiceberg.table.sorting import NullOrder, SortDirection

    columns, keys = {}, []
    for number, part in enumerate(order.fields):
        name = f"sort{number}"
        if part.transform.preserves_order:
            columns[name] = _storage(_flat(data.column(cast("str", schema.find_column_name(part.source_id)))))
        else:
            columns[name] = _transformed(data, schema, part)
        keys.append(
            (
                name,
                "descending" if part.direction == SortDirection.DESC else "ascending",
                "at_start" if part.null_order == NullOrder.NULLS_FIRST else "at_end",
            )
        )
    return data.take(pc.call_function("sort_indices", [pa.table(columns)], pc.SortOptions(sort_keys=keys)))


def _transformed(data: pa.Table, schema: Schema, part: PartitionField | SortField) -> pa.Array:
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


def _labels(columns: list[tuple[NDArray[np.int32], int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows of codes, and which of them each row has.

    Args:
        columns: Codes of each column, and how many there are.
    """
    sizes = [max(1, size) for _, size in columns]
    if math.prod(sizes) > _MOST_COUNTED:
        codes = np.stack([codes for codes, _ in columns], axis=1).astype(np.int64)
        groups, label = np.unique(codes, axis=0, return_inverse=True)
        return groups, label.reshape(-1)
    combined = np.ravel_multi_index([codes for codes, _ in columns], sizes)
    present = np.flatnonzero(np.bincount(combined, minlength=math.prod(sizes)))
    numbers = np.zeros(math.prod(sizes), np.int64)
    numbers[present] = np.arange(len(present))
    return np.stack(np.unravel_index(present, sizes), axis=1), numbers[combined]


def _partition_value(schema: Schema, part: PartitionField, value: Any) -> str | None:
    from pyiceberg.partitioning import partition_record_value

    if value is None:
        return None
    source = schema.find_field(part.source_id).field_type
    if str(part.transform) == "identity":
        value = bytes(value) if str(source) == "uuid" else partition_record_value(part, value, schema)
    return binary_value(part.transform.result_type(source), value)


def binary_value(kind: IcebergType, value: Any) -> str | None:
    """A value in Iceberg's single-value binary form, as base64; None for null."""
    from pyiceberg.conversions import to_bytes

    return None if value is None else base64.b64encode(to_bytes(cast("PrimitiveType", kind), value)).decode()
