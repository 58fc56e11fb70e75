"""Keys that a client is asked for, as columns that a server takes: which types a cache has, the server knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.keys.asked import array_of, listed
from lakeflow.cache.keys.views import without_views
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow.cache.keys.column import Key, KeyNames, ManyKeys

__all__ = ["key_array", "keys_by_name"]


def key_array(keys: ManyKeys) -> pa.Array | list[Any]:
    """Return keys as one array; structs, or a list of tuples, where the columns' names have to be known for more.

    Args:
        keys: As `Client.get_many` takes them. No keys are an empty list, as they may be of any cache.

    Raises:
        SchemaError: they are no keys, or not all of one type.
    """
    array = array_of(keys)
    if array is not None:
        return _large(array)
    each = listed(keys)
    try:
        return _large(_inferred(each)) if each and not isinstance(each[0], (tuple, list)) else each
    except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError) as error:
        message = f"The keys are no integers, strs or bytes, or not all of one type: {error}"
        raise SchemaError(message) from error


def keys_by_name(keys: pa.Array | list[Any], names: KeyNames) -> pa.RecordBatch:
    """Return what `key_array` left open as the columns of a key.

    Args:
        keys: Structs, or a list of tuples.
        names: The cache's, as it describes itself.

    Raises:
        SchemaError: they aren't keys of these columns, or there is a null.
    """
    if isinstance(names, str):
        if len(keys):
            raise SchemaError(
                f"The keys are several values each; the key is one column, {names}.", "give one for each."
            )
        return pa.record_batch([pa.array([], pa.string())], names=["key"])
    columns = _columns_of_list(keys, names) if isinstance(keys, list) else _columns_of_structs(keys, names)
    return pa.record_batch(columns, names=list(names))


def _columns_of_list(keys: list[Any], names: Sequence[str]) -> list[pa.Array]:
    for key in keys:
        if not isinstance(key, (tuple, list)) or len(key) != len(names):
            message = f"Key {key!r} isn't one value for each of the columns {', '.join(names)}."
            raise SchemaError(message, f"give a tuple of {len(names)} values, in this order.")
    arrays: list[pa.Array] = []
    for name, values in zip(names, zip(*keys, strict=True) if keys else [()] * len(names), strict=True):
        try:
            arrays.append(_large(_inferred(list(values))))
        except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError) as error:
            message = f"The values of column {name!r} are no integers, strs or bytes, or not all of one type: {error}"
            raise SchemaError(message) from error
    return arrays


def _columns_of_structs(keys: pa.Array, names: Sequence[str]) -> list[pa.Array]:
    if keys.null_count:
        raise SchemaError("A null can't be a key.", "drop the nulls first.")
    there = [field.name for field in keys.type]
    missing = [name for name in names if there.count(name) != 1]
    if missing:
        message = f"The keys asked for have no column {missing[0]!r}, or more than one; they have {', '.join(there)}."
        raise SchemaError(message, f"give a table of {', '.join(names)}.")
    columns = dict(zip(there, keys.flatten(), strict=True))
    return [_large(columns[name]) for name in names]


def _inferred(keys: list[Key]) -> pa.Array:
    try:
        array = pa.array(keys)
    except OverflowError:  # pyarrow infers int64, or nothing
        return pa.array(keys, type=pa.uint64())
    if pa.types.is_nested(array.type):
        raise TypeError(f"they are {array.type}")
    return array


def _large(array: pa.Array) -> pa.Array:
    """Bring an array into a type that the server takes."""
    return array.cast(pa.string() if pa.types.is_null(array.type) else without_views(array.type))
