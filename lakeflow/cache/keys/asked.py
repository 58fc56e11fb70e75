"""Keys that are asked for, as Arrow arrays or as lists, whatever they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow.cache.keys.views import dictionary_without_views
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from lakeflow.cache.keys.column import Key

__all__ = ["array_of", "listed"]


def array_of(keys: Any) -> pa.Array | None:
    """Return keys that lie in Arrow or in a numpy array of integers as one array; others are None.

    Dictionaries, which categories of frames are, become their values.

    Raises:
        SchemaError: they have more than one dimension, or are of a kind that Arrow can't read.
    """
    try:
        if hasattr(keys, "__arrow_c_stream__"):
            return _whole(pa.chunked_array(keys))
        if hasattr(keys, "__arrow_c_array__"):
            return _whole(pa.chunked_array([pa.array(keys)]))
        if isinstance(keys, np.ndarray) and keys.dtype.kind in "iu" and keys.ndim:
            return pa.array(keys.astype(keys.dtype.newbyteorder("="), copy=False))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SchemaError(f"These keys aren't one column of values: {error}", "give a list, or one column.") from error
    return None


def listed(keys: Any) -> list[Key]:
    """Return any other iterable of keys as a list.

    Raises:
        SchemaError: it is one key, or nothing that can be iterated over.
    """
    if isinstance(keys, (str, bytes)):
        raise SchemaError(f"{keys!r} is one key, not many.", "use get(), or put it in a list.")
    try:
        each = iter(keys)
    except TypeError:
        raise SchemaError(f"{keys!r} is no list of keys.", "use get() for one, or put it in a list.") from None
    return list(each)


def _whole(keys: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(keys.type):
        kind = dictionary_without_views(keys.type)
        keys = keys.cast(kind).cast(kind.value_type)  # of views Arrow can't at once
    return keys.combine_chunks()
