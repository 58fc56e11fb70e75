"""Rows become buckets, some rows that follow each other by their key's hash.

They are the values of a server's keys, and what the rows file of a shard has.

Why buckets: in a server, a key of its own for each row takes 90 bytes and most of the time of a push, and could
only be found again for its removal by a walk through all keys of all others; in a file, each row would need an offset,
and a disk reads a page of 4 KiB or nothing. Which bucket a key is in, and which ones there are, follows from numbers.

A bucket, little-endian:

    rows: u32 | hash of each row's key: u64, ascending | end of each row, from the first row's start: u32 | rows

A row is what `fields` says. Nothing here loops over rows or buckets: numpy fills the parts of fixed width, and
Arrow joins parts, which are views of one long buffer each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.rows.lists import cut, fixed, joined, packed_lists

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lakeflow.cache.rows.fields import Field, Fields

__all__ = ["Packed", "bucket_of", "buckets_of", "first_hash", "packed", "row_bytes"]

_BUCKET_BITS = 32
_HASH_BITS = 64


@dataclass(frozen=True, slots=True)
class Packed:
    """Buckets that have rows."""

    numbers: NDArray[np.int64]
    """Ascending."""
    rows: NDArray[np.int64]
    """Of each."""
    values: pa.LargeBinaryArray


def bucket_of(key_hash: int, buckets: int) -> int:
    """Return the bucket of a key: its hash's upper half, scaled; so buckets are ranges of hashes."""
    return ((key_hash >> _BUCKET_BITS) * buckets) >> _BUCKET_BITS


def buckets_of(hashes: NDArray[np.uint64], buckets: int) -> NDArray[np.int64]:
    """As `bucket_of`, of many."""
    upper = hashes >> np.uint64(_BUCKET_BITS)
    return ((upper * np.uint64(buckets)) >> np.uint64(_BUCKET_BITS)).astype(np.int64)


def first_hash(bucket: int, buckets: int) -> int:
    """Return the least hash in a bucket; 2**64 for the one behind the last."""
    return -(-(bucket << _BUCKET_BITS) // buckets) << (_HASH_BITS - _BUCKET_BITS)


def packed(batch: pa.RecordBatch, hashes: NDArray[np.uint64], fields: Fields, buckets: int) -> Packed:
    """Return the buckets of rows that are sorted by hash; all rows of a bucket have to be among them.

    Args:
        batch: At least one row.
        hashes: Of their keys.
        fields: How a row lies in bytes.
        buckets: How many there are in the version, below 2**32.
    """
    data = row_bytes(batch, fields)
    offsets = np.frombuffer(data.buffers()[1], np.int64, batch.num_rows + 1)
    numbers = buckets_of(hashes, buckets)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(numbers)) + 1, [len(numbers)]])
    counts = np.diff(edges)
    ends = (offsets[1:] - np.repeat(offsets[edges[:-1]], counts)).astype("<u4")
    values = joined(
        fixed(counts.astype("<u4")),
        cut(pa.py_buffer(np.ascontiguousarray(hashes)), edges * 8),
        cut(pa.py_buffer(ends), edges * 4),
        cut(data.buffers()[2], offsets[edges]),
    )
    return Packed(numbers[edges[:-1]], counts, values)


def row_bytes(batch: pa.RecordBatch, fields: Fields) -> pa.LargeBinaryArray:
    """Return each row as its bytes."""
    records = np.zeros(batch.num_rows, fields.records)
    outside: list[pa.Array] = []
    for field, column in zip(fields.all, batch.columns, strict=True):
        if column.null_count or field.kind == "none":
            nulls = column.is_null().to_numpy(zero_copy_only=False)
            records["nulls"][:, field.place // 8] |= nulls.view(np.uint8) << np.uint8(field.place % 8)
        else:
            nulls = None
        if field.outside:
            data = _outside(field, column)
            lengths = pc.call_function("binary_length", [data]).fill_null(0)
            records[str(field.place)] = lengths.to_numpy(zero_copy_only=False)
            outside.append(data)
        elif field.width:
            values = records[str(field.place)]
            values[:] = _inside(field, column)
            if nulls is not None:
                values[nulls] = np.zeros(1, values.dtype)  # what lies under a null may be anything
    return joined(fixed(records), *outside)


def _inside(field: Field, column: pa.Array) -> NDArray[Any]:
    if field.kind == "bool":
        column = column.cast(pa.uint8())
    dtype = np.dtype("u1") if field.kind == "bool" else _word(field.width)
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * field.width)


def _outside(field: Field, column: pa.Array) -> pa.LargeBinaryArray:
    if field.kind == "list":
        return packed_lists(column)
    if field.codec is None:
        return column.cast(pa.large_binary())
    texts = field.codec.encode(pa.table({field.name: column}))
    return pa.array([text.encode() for text in texts], pa.large_binary())


def _word(width: int) -> np.dtype[Any]:
    return np.dtype(f"<u{width}" if width in (1, 2, 4, 8) else f"V{width}")
