"""Decoded values -> the type that a file's own annotations give them: times, moments, fixed bytes and maps."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds

__all__ = ["restated"]


def restated(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The same values with another type, at any depth.

    Args:
        found: As they were decoded: times as integers, UUIDs as bytes of any length, maps as lists of pairs.
        wanted: The same shape; where `found` has a list of pairs there may be a map.

    Raises:
        ArrowException: a value doesn't fit, or would lose something.
    """
    if found.type == wanted:
        return found
    if kinds.is_struct(wanted):
        children = [restated(found.field(number), wanted.field(number).type) for number in range(wanted.num_fields)]
        if not children:
            return found
        return pa.StructArray.from_arrays(children, fields=list(wanted), mask=_nulls(found))
    if kinds.is_map(wanted):
        entries = found.values
        keys, items = (found.keys, found.items) if kinds.is_map(found.type) else (entries.field(0), entries.field(1))
        keys, items = restated(keys, wanted.key_type), restated(items, wanted.item_type)
        return pa.MapArray.from_arrays(_offsets(found), keys, items, wanted, mask=_nulls(found))
    if kinds.is_list(wanted):
        return pa.ListArray.from_arrays(
            _offsets(found), restated(found.values, wanted.value_type), wanted, mask=_nulls(found)
        )
    if kinds.is_fixed_size_binary(wanted):
        return _fixed(found, wanted)
    return found.cast(wanted)


def _fixed(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    if not kinds.is_binary(found.type):
        raise pa.ArrowTypeError(f"{found.type} is no {wanted}")
    return pa.array(found.to_pylist(), wanted)


def _offsets(found: pa.Array) -> pa.Array:
    # Of their own: a slice's can't stand beside a mask.
    return pa.array(found.offsets.to_numpy(), pa.int32())


def _nulls(found: pa.Array) -> pa.Array | None:
    return found.is_null() if found.null_count else None
