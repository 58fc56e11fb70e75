"""Lists of values of fixed width, such as embeddings, as bytes: without JSON, and without a loop over lists.

    0 | values                    where no item is null
    1 | values | a byte for each  which is 0 where the item is null

A null list is no bytes at all, an empty one the first byte alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.pushed.values import is_list

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cut", "fixed", "gathered", "item_width", "joined", "packed_lists", "unpacked_lists"]

_types = pa.types
_NOTHING = pa.scalar(b"", pa.large_binary())
_SHORT_BYTES = 64  # of a value: it takes 16 times as much to name each of its bytes, and less time than a slice


def item_width(kind: pa.DataType) -> int:
    """Return the bytes of an item of such a list; 0 where `kind` is no such list."""
    if not is_list(kind) or (_types.is_fixed_size_list(kind) and not kind.list_size):
        return 0  # Arrow 26 divides by the size of fixed-size lists, and ends the process where that is 0
    item = kind.value_type
    plain = _types.is_primitive(item) or _types.is_decimal(item) or _types.is_fixed_size_binary(item)
    return item.bit_width // 8 if plain and not _types.is_boolean(item) else 0


def packed_lists(column: pa.Array) -> pa.LargeBinaryArray:
    """Return each list as its bytes, null where it is null."""
    offsets = _offsets(column)
    low, high = int(offsets[0]), int(offsets[-1])
    items, offsets = column.values.slice(low, high - low), offsets - low
    width = item_width(column.type)
    stored = items.buffers()[1].slice(items.offset * width, len(items) * width) if len(items) else pa.py_buffer(b"")
    values = cut(stored, offsets * width)
    if not items.null_count:
        packed = joined(fixed(np.zeros(len(column), np.uint8)), values)
    else:
        valid = items.is_valid().to_numpy(zero_copy_only=False).view(np.uint8)
        seen = np.concatenate([[0], np.cumsum(valid, dtype=np.int64)])
        flags = np.diff(seen[offsets]) < np.diff(offsets)
        marks = pc.call_function("if_else", [pa.array(flags), cut(pa.py_buffer(valid), offsets), _NOTHING])
        packed = joined(fixed(flags.view(np.uint8)), values, marks)
    if not column.null_count:
        return packed
    return pc.call_function("if_else", [column.is_valid(), packed, pa.scalar(None, pa.large_binary())])


def unpacked_lists(
    kind: pa.DataType, data: NDArray[np.uint8], offsets: NDArray[np.int64], nulls: NDArray[np.bool_]
) -> pa.Array:
    """Return lists of their bytes.

    Args:
        kind: Their type.
        data: All bytes.
        offsets: Where each list begins, and where the last ends.
        nulls: Which ones are null, whatever their bytes.

    Raises:
        ValueError: these bytes are no such lists.
    """
    lengths, width = np.diff(offsets), item_width(kind)
    there = ~nulls
    if (lengths[there] < 1).any():
        raise ValueError("a list has no bytes.")
    flags = np.zeros(len(nulls), np.int64)
    flags[there] = data[offsets[:-1][there]]
    counts = np.where(there, (lengths - 1) // (width + flags), 0)
    if (flags > 1).any() or (1 + counts * (width + flags) != lengths)[there].any():
        raise ValueError("a list's bytes are too few or too many.")
    begins, ends = offsets[:-1] + 1, np.cumsum(counts)
    marks = np.ones(int(counts.sum()), np.uint8)
    for row in np.flatnonzero(flags):
        at = begins[row] + counts[row] * width
        marks[ends[row] - counts[row] : ends[row]] = data[at : at + counts[row]]
    valid = pa.py_buffer(np.packbits(marks, bitorder="little")) if flags.any() else None
    values = pa.py_buffer(gathered(data, begins, counts * width))
    items = pa.Array.from_buffers(kind.value_type, len(marks), [valid, values])
    return _lists(kind, items, counts, nulls)


def gathered(data: NDArray[np.uint8], begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return pieces that lie here and there in `data` behind each other."""
    total = int(lengths.sum())
    if total <= _SHORT_BYTES * len(lengths):
        before = np.cumsum(lengths) - lengths
        return data[np.repeat(begins - before, lengths) + np.arange(total)]
    view = data.data
    spans = zip(begins.tolist(), (begins + lengths).tolist(), strict=True)
    return np.frombuffer(b"".join([view[begin:end] for begin, end in spans]), np.uint8)


def joined(*parts: pa.Array | pa.Scalar) -> pa.LargeBinaryArray:
    """Join large binaries element by element; null is as nothing."""
    options = pc.JoinOptions(null_handling="replace", null_replacement="")
    return pc.call_function("binary_join_element_wise", [*parts, _NOTHING], options)


def fixed(records: NDArray[Any]) -> pa.LargeBinaryArray:
    """Return each element of a numpy array as its bytes."""
    buffer = pa.py_buffer(np.ascontiguousarray(records).view(np.uint8).reshape(-1))
    return cut(buffer, np.arange(len(records) + 1, dtype=np.int64) * records.itemsize)


def cut(buffer: pa.Buffer, offsets: NDArray[np.int64]) -> pa.LargeBinaryArray:
    """Return the pieces of a buffer between offsets, without a copy."""
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), buffer])


def _offsets(column: pa.Array) -> NDArray[np.int64]:
    if _types.is_fixed_size_list(column.type):
        return (column.offset + np.arange(len(column) + 1)) * column.type.list_size
    return column.offsets.to_numpy().astype(np.int64)


def _lists(kind: pa.DataType, items: pa.Array, counts: NDArray[np.int64], nulls: NDArray[np.bool_]) -> pa.Array:
    if _types.is_fixed_size_list(kind):
        if (counts[~nulls] != kind.list_size).any():
            raise ValueError(f"a list hasn't {kind.list_size} items.")
        lists = pa.FixedSizeListArray.from_arrays(items, type=kind)
        return lists.take(pa.array(np.cumsum(~nulls) - 1, mask=nulls)) if nulls.any() else lists
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if _types.is_list(kind):
        if offsets[-1] >= 1 << 31:
            raise ValueError("the lists have more items than one array of lists holds.")
        offsets = offsets.astype(np.int32)
    valid = pa.py_buffer(np.packbits(~nulls, bitorder="little")) if nulls.any() else None
    return pa.Array.from_buffers(kind, len(counts), [valid, pa.py_buffer(offsets)], children=[items])
