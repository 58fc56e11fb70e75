"""How long rows can be as `RowCodec` writes them: an upper bound for each, from Arrow's offsets alone.

A store with a limit for one row asks before it writes anything. The bound reads no values but lengths, so that it
takes a small part of a push; only rows above the limit by it have to be written to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.pushed.values import entries, is_list

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["longest_bytes"]

_NUMBER_BYTES = 25  # -1.2345678901234567e-308 and a comma; a 64-bit integer, a boolean and null are shorter
_DECIMAL_BYTES = 90  # 76 digits, a sign, a point, an exponent and quotes; the three numbers of an interval are shorter
_CHARACTER_BYTES = 6  # \u0000, of one byte
_QUOTES_AND_COMMA = 8  # also null and its comma


def longest_bytes(column: pa.Array) -> NDArray[np.int64]:
    """Return the most bytes of JSON that each value of a column takes, with the comma after it.

    Args:
        column: Of a type that `RowCodec` takes.
    """
    kind, types = column.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return longest_bytes(column.storage)
    if types.is_string(kind) or types.is_large_string(kind):
        return _lengths("binary_length", column) * _CHARACTER_BYTES + _QUOTES_AND_COMMA
    if types.is_binary(kind) or types.is_large_binary(kind):
        return (_lengths("binary_length", column) + 2) // 3 * 4 + _QUOTES_AND_COMMA  # base64
    if types.is_fixed_size_binary(kind):
        return np.full(len(column), (kind.byte_width + 2) // 3 * 4 + _QUOTES_AND_COMMA, np.int64)
    if types.is_struct(kind):
        names = sum(len(field.name.encode()) * _CHARACTER_BYTES + _QUOTES_AND_COMMA for field in kind)
        total = np.full(len(column), names + _QUOTES_AND_COMMA, np.int64)
        for field in column.flatten():
            total += longest_bytes(field)
        return total
    if types.is_map(kind):
        return longest_bytes(entries(column))
    if is_list(kind):
        counts = _lengths("list_value_length", column)
        ends = np.cumsum(counts)
        elements = np.concatenate([[0], np.cumsum(longest_bytes(column.flatten()))])
        return elements[ends] - elements[ends - counts] + _QUOTES_AND_COMMA
    longer = types.is_decimal(kind) or types.is_interval(kind)
    return np.full(len(column), _DECIMAL_BYTES if longer else _NUMBER_BYTES, np.int64)


def _lengths(function: str, column: pa.Array) -> NDArray[np.int64]:
    """Return the lengths of values; 0 of nulls."""
    lengths = pc.call_function(function, [column]).fill_null(0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64)
