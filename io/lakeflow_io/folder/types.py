"""Arrow types of plain files -> the types that Iceberg has, and which of those become which.

A plain file may hold what Iceberg lacks. Everything that has a wider Iceberg type is read as that,
value for value: small and unsigned integers, half floats, dictionaries, long offsets, fixed-size
lists, other time units and zones. What has none is refused, by name, once it is asked for.
"""

from __future__ import annotations

import pyarrow as pa

from lakeflow_io.errors import UnsupportedError

__all__ = ["canonical", "promotes", "wider"]

_INT32_BITS = 32
_INT64_BITS = 64
_MAX_PRECISION = 38  # of an Iceberg decimal
_UINT64_DIGITS = 20


def canonical(kind: pa.DataType, where: str) -> pa.DataType:  # noqa: C901, PLR0912  (a table, one type a line)
    """The Arrow form of the narrowest Iceberg type that holds every value of `kind`.

    Args:
        kind: As the file has it.
        where: Names the column and the file in an error.

    Raises:
        UnsupportedError: Iceberg has no such type: durations, intervals, decimals of more than 38 digits.
    """
    is_ = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return kind if isinstance(kind, pa.UuidType) else canonical(kind.storage_type, where)
    if is_.is_dictionary(kind) or is_.is_run_end_encoded(kind):
        return canonical(kind.value_type, where)
    if is_.is_uint64(kind):
        return pa.decimal128(_UINT64_DIGITS, 0)
    if is_.is_integer(kind):
        return pa.int32() if kind.bit_width + is_.is_unsigned_integer(kind) <= _INT32_BITS else pa.int64()
    if is_.is_float16(kind):
        return pa.float32()
    if is_.is_decimal(kind) and kind.precision <= _MAX_PRECISION and 0 <= kind.scale <= kind.precision:
        return pa.decimal128(kind.precision, kind.scale)
    if is_.is_date(kind):
        return pa.date32()
    if is_.is_time(kind):
        return pa.time64("us")
    if is_.is_timestamp(kind):
        return pa.timestamp("ns" if kind.unit == "ns" else "us", "UTC" if kind.tz is not None else None)
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return pa.string()
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind):
        return pa.binary()
    if is_.is_struct(kind):
        return pa.struct([(f.name, canonical(f.type, f"{f.name!r} in {where}")) for f in kind.fields])
    if is_.is_map(kind):
        return pa.map_(canonical(kind.key_type, where), canonical(kind.item_type, where))
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind) or _is_list_view(kind):
        return pa.list_(canonical(kind.value_type, where))
    if is_.is_floating(kind) or is_.is_boolean(kind) or is_.is_fixed_size_binary(kind) or is_.is_null(kind):
        return kind
    raise UnsupportedError(
        f"The {where} has the type {kind}, which has no counterpart in Iceberg.",
        "leave the column out with columns=, or rewrite the file.",
    )


def _is_list_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def promotes(kind: pa.DataType, into: pa.DataType) -> bool:
    """Tell whether every value of one canonical type is one of another.

    As Iceberg's schema evolution has it (int to long, float to double, decimals of more digits, null to
    anything), in structs, lists and maps too; and microseconds to nanoseconds.
    """
    is_ = pa.types
    if kind == into or is_.is_null(kind):
        return True
    if is_.is_struct(kind) and is_.is_struct(into):
        names = {field.name: field.type for field in kind.fields}
        return all(field.name not in names or promotes(names[field.name], field.type) for field in into.fields)
    if is_.is_map(kind) and is_.is_map(into):
        return promotes(kind.key_type, into.key_type) and promotes(kind.item_type, into.item_type)
    if is_.is_list(kind) and is_.is_list(into):
        return promotes(kind.value_type, into.value_type)
    if is_.is_decimal(kind) and is_.is_decimal(into):
        return bool(kind.scale == into.scale and kind.precision <= into.precision)
    if is_.is_timestamp(kind) and is_.is_timestamp(into):
        return bool(kind.tz == into.tz and kind.unit == "us")
    return (is_.is_int32(kind) and is_.is_int64(into)) or (is_.is_float32(kind) and is_.is_float64(into))


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that both canonical types promote to; None where there is none."""
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        left = {field.name: field.type for field in one.fields}
        right = {field.name: field.type for field in other.fields}
        both = {name: wider(left.get(name, pa.null()), right.get(name, pa.null())) for name in [*left, *right]}
        return None if any(kind is None for kind in both.values()) else pa.struct(list(both.items()))
    if pa.types.is_list(one) and pa.types.is_list(other):
        value = wider(one.value_type, other.value_type)
        return None if value is None else pa.list_(value)
    if pa.types.is_map(one) and pa.types.is_map(other):
        key, item = wider(one.key_type, other.key_type), wider(one.item_type, other.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if promotes(one, other):
        return other
    return one if promotes(other, one) else None
