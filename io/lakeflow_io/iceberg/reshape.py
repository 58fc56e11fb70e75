"""A column as its file has it -> as the table has it now: by field id, at every depth.

Nulls stay what they are. A null list is no empty one and a null struct none of nulls, whatever was
added, dropped, renamed, moved or widened inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyiceberg.types import IcebergType, NestedField

__all__ = ["missing", "reshape"]

_UTC = ("UTC", "+00:00", "Etc/UTC", "Z")


def reshape(found: pa.Array, have: IcebergType, want: IcebergType, target: pa.DataType) -> pa.Array:
    """Turn a column, or what is inside of one, into another type.

    Args:
        found: Values, as decoded.
        have: Their type; fields have the names that the file has.
        want: The table's.
        target: The same in Arrow.

    Raises:
        ResolveError: values of the one type are none of the other.
        ValueError: a required field isn't there.
        ArrowException: a value doesn't fit.
    """
    from pyiceberg.exceptions import ResolveError
    from pyiceberg.types import ListType, MapType, StructType

    if isinstance(have, StructType) and isinstance(want, StructType):
        return _struct(found, have, want, target)
    if isinstance(have, ListType) and isinstance(want, ListType):
        plain = found.cast(pa.list_(found.type.value_type)) if pa.types.is_fixed_size_list(found.type) else found
        values = reshape(plain.values, have.element_type, want.element_type, target.value_type)
        return pa.ListArray.from_arrays(_offsets(plain), values, target, mask=_nulls(plain))
    if isinstance(have, MapType) and isinstance(want, MapType):
        keys = reshape(found.keys, have.key_type, want.key_type, target.key_type)
        items = reshape(found.items, have.value_type, want.value_type, target.item_type)
        return pa.MapArray.from_arrays(_offsets(found), keys, items, target, mask=_nulls(found))
    if not (have.is_primitive and want.is_primitive):
        raise ResolveError(f"{have} can't be read as {want}")
    return _primitive(found, have, want, target)


def _struct(found: pa.Array, have: Any, want: Any, target: pa.DataType) -> pa.Array:
    by_id = {field.field_id: field for field in have.fields}
    children = []
    for number, field in enumerate(want.fields):
        kind, there = target.field(number).type, by_id.get(field.field_id)
        if there is None:
            children.append(missing(field, len(found), kind))
        else:
            child = found.field(found.type.get_field_index(there.name))
            children.append(reshape(child, there.field_type, field.field_type, kind))
    if not children:
        return pa.array([None if null else {} for null in found.is_null().to_pylist()], target)
    return pa.StructArray.from_arrays(children, fields=list(target), mask=_nulls(found))


def missing(field: NestedField, rows: int, kind: pa.DataType) -> pa.Array:
    """What a file has that was written before there was this field: its default, or nulls.

    Raises:
        ValueError: it is required, and has no default.
    """
    if field.initial_default is not None:
        storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        values = pa.repeat(pa.scalar(field.initial_default, storage), rows)
        return pa.ExtensionArray.from_storage(kind, values) if storage != kind else values
    if field.required:
        raise ValueError(f"the required field {field.name!r} is not in the file")
    return pa.nulls(rows, kind)


def _primitive(found: pa.Array, have: IcebergType, want: IcebergType, target: pa.DataType) -> pa.Array:
    from pyiceberg.schema import promote

    if found.type == target:
        return found
    if pa.types.is_timestamp(found.type) and pa.types.is_timestamp(target):
        # A file may state the zone UTC where the table's type has none, and the other way round: one instant.
        if found.type.tz not in (None, *_UTC) or (target.unit == "us" and found.type.unit == "ns"):
            raise ValueError(f"{found.type} can't be read as {target}")
        return found.cast(target)
    promote(have, want)
    if isinstance(target, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(target, found.cast(target.storage_type))
    return found.cast(target)


def _offsets(found: pa.Array) -> pa.Array:
    # Of their own: a slice's can't stand beside a mask.
    return pa.array(found.offsets.to_numpy(), pa.int32())


def _nulls(found: pa.Array) -> pa.Array | None:
    return found.is_null() if found.null_count else None
