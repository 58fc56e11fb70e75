"""String and binary views, whose buffers can't be cut by size: what they become, and dictionaries of them."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["dictionary_without_views", "without_views"]

_PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def without_views(kind: pa.DataType) -> pa.DataType:
    """Return what a view becomes; any other type as it is, nested ones too."""
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return _PLAIN[kind]
    return kind


def dictionary_without_views(kind: pa.DataType) -> pa.DataType:
    """Return the dictionary to which Arrow can cast one of views, as Polars' categories are, before its values."""
    return pa.dictionary(kind.index_type, without_views(kind.value_type), kind.ordered)
