"""The values of a column <-> what JSON has: exactly, for every type that has a form. See `codec` for the forms."""

from __future__ import annotations

import base64
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.errors import CorruptFileError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["entries", "from_json", "has_form", "is_list", "python_of", "to_json"]

_types = pa.types
_PLAIN = (
    _types.is_null,
    _types.is_boolean,
    _types.is_integer,
    _types.is_floating,
    _types.is_string,
    _types.is_large_string,
)
_LISTS = (_types.is_list, _types.is_large_list, _types.is_fixed_size_list)
_BINARY = (_types.is_binary, _types.is_large_binary, _types.is_fixed_size_binary)


def has_form(kind: pa.DataType) -> bool:
    """Tell whether values of a type can be written."""
    if isinstance(kind, pa.BaseExtensionType):
        return has_form(kind.storage_type)
    if _types.is_struct(kind):
        names = [field.name for field in kind]
        return len(names) == len(set(names)) and all(has_form(field.type) for field in kind)
    if _types.is_map(kind):
        return has_form(kind.key_type) and has_form(kind.item_type)
    if is_list(kind):
        return has_form(kind.value_type)
    return _any(_PLAIN, kind) or _any(_BINARY, kind) or _types.is_decimal(kind) or _types.is_temporal(kind)


def to_json(column: pa.Array) -> list[Any]:
    """Return what stands in JSON for each value.

    Args:
        column: Of a type that has a form.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return to_json(column.storage)
    if _is_counted(kind):
        return column.view(_count_type(kind)).to_pylist()
    if _is_plain(kind):
        return column.to_pylist()
    if _types.is_struct(kind):
        names = [field.name for field in kind]
        rows = zip(*map(to_json, column.flatten()), strict=True)
        pairs = zip(rows, column.is_valid().to_pylist(), strict=True)
        return [dict(zip(names, row, strict=True)) if valid else None for row, valid in pairs]
    if _types.is_map(kind):
        lists = to_json(entries(column))
        return [None if pairs is None else [list(pair.values()) for pair in pairs] for pairs in lists]
    if is_list(kind):
        elements, lengths = to_json(column.flatten()), column.value_lengths().to_pylist()
        bounds = pairwise(accumulate((length or 0 for length in lengths), initial=0))
        return [None if length is None else elements[a:b] for length, (a, b) in zip(lengths, bounds, strict=True)]
    # An interval is a tuple, which is a list in JSON.
    convert: Callable[[Any], Any] = str if _types.is_decimal(kind) else _base64 if _any(_BINARY, kind) else list
    return [None if value is None else convert(value) for value in column.to_pylist()]


def from_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return the column of which `to_json` made the values.

    Raises:
        CorruptFileError: they aren't of that type.
    """
    try:
        return _from_json(values, kind)
    except (pa.ArrowException, ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        message = f"Rows in the store don't fit their column's type, {kind}: {error}"
        raise CorruptFileError(message, "push another version of the cache.") from error


def python_of(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Return what makes a JSON value the one that Arrow gives for `kind`; None where it is that already."""
    return None if _is_plain(kind) else lambda value: from_json([value], kind)[0].as_py()


def entries(column: pa.MapArray) -> pa.ListArray:
    """Return maps as lists of structs of key and value; what is null stays null."""
    kind = column.type
    pair = pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)])
    return column.cast(pa.list_(pa.field("entries", pair, nullable=False)))


def is_list(kind: pa.DataType) -> bool:
    """Tell whether values are lists, of any kind but maps."""
    return _any(_LISTS, kind)


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether Python's values of a type are what JSON has, and are read as they are written."""
    if _types.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    return _is_plain(kind.value_type) if is_list(kind) else _any(_PLAIN, kind)


def _is_counted(kind: pa.DataType) -> bool:
    return _types.is_temporal(kind) and not _types.is_interval(kind)


def _any(tests: tuple[Callable[[pa.DataType], bool], ...], kind: pa.DataType) -> bool:
    return any(test(kind) for test in tests)


def _count_type(kind: pa.DataType) -> pa.DataType:
    """Return the integer that Arrow stores a date, time, timestamp or duration as."""
    return pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004  (bits)


def _from_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _from_json(values, kind.storage_type))
    if _is_counted(kind):
        return pa.array(values, _count_type(kind)).view(kind)
    if _is_plain(kind) or not _types.is_nested(kind):
        return pa.array([_to_storage(value, kind) for value in values], kind)
    nulls = pa.array([value is None for value in values], pa.bool_())
    if _types.is_struct(kind):
        empty: dict[str, Any] = dict.fromkeys(field.name for field in kind)
        rows = [empty if value is None else value for value in values]
        columns = [_from_json([row[field.name] for row in rows], field.type) for field in kind]
        return pa.StructArray.from_arrays(columns, fields=list(kind), mask=nulls)
    if _types.is_fixed_size_list(kind):
        missing = [None] * kind.list_size
        padded = [element for value in values for element in (missing if value is None else value)]
        return pa.FixedSizeListArray.from_arrays(_from_json(padded, kind.value_type), type=kind, mask=nulls)
    elements: list[Any] = [element for value in values for element in value or ()]
    ends = accumulate((len(value or ()) for value in values), initial=0)
    offsets = pa.array(ends, pa.int64() if _types.is_large_list(kind) else pa.int32())
    if _types.is_map(kind):
        keys, items = ([pair[side] for pair in elements] for side in (0, 1))
        pairs = _from_json(keys, kind.key_type), _from_json(items, kind.item_type)
        return pa.MapArray.from_arrays(offsets, *pairs, type=kind, mask=nulls)
    lists = pa.LargeListArray if _types.is_large_list(kind) else pa.ListArray
    return lists.from_arrays(offsets, _from_json(elements, kind.value_type), type=kind, mask=nulls)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _to_storage(value: Any, kind: pa.DataType) -> Any:
    """Return the value that pyarrow takes for a type without a count and without elements of its own."""
    if isinstance(value, str) and _any(_BINARY, kind):
        return base64.b64decode(value)
    if isinstance(value, str) and _types.is_decimal(kind):
        return Decimal(value)
    return pa.MonthDayNano(value) if isinstance(value, list) and _types.is_interval(kind) else value
