"""Single values of a mapped column as Python's: Arrow's scalars take a microsecond each, these a tenth of that."""

from __future__ import annotations

from typing import Any, Protocol

import pyarrow as pa

__all__ = ["Values", "python_values"]


class Values(Protocol):
    """A column's values by row."""

    def __getitem__(self, row: int, /) -> Any: ...


_FORMATS = {
    pa.int8(): "b",
    pa.int16(): "h",
    pa.int32(): "i",
    pa.int64(): "q",
    pa.uint8(): "B",
    pa.uint16(): "H",
    pa.uint32(): "I",
    pa.uint64(): "Q",
    pa.float32(): "f",
    pa.float64(): "d",
}
"""Those of `struct`, whose values are the same as those of Arrow's `as_py`."""


def python_values(column: pa.Array) -> Values:
    """Return a column's values by row, each what `as_py` of Arrow's scalar is.

    Args:
        column: Of any type; it stays in memory with the result.
    """
    kind, plain = column.type, not column.null_count
    if plain and pa.types.is_primitive(kind) and kind in _FORMATS:  # a user's extension type may have no hash
        width, data = kind.bit_width // 8, column.buffers()[1]
        start = column.offset * width
        within: Any = memoryview(data or b"").cast("B")[start : start + len(column) * width]
        values: Values = within.cast(_FORMATS[kind])  # Any: the stubs have an overload for each format
        return values
    if plain and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return _Texts(column)
    return _Scalars(column)


class _Scalars:
    """Any column."""

    __slots__ = ("_column",)

    def __init__(self, column: pa.Array) -> None:
        self._column = column

    def __getitem__(self, row: int) -> Any:
        return self._column[row].as_py()


class _Texts:
    """A column of strings without nulls."""

    __slots__ = ("_data", "_offsets")

    def __init__(self, column: pa.Array) -> None:
        _, offsets, data = column.buffers()
        every = memoryview(offsets or bytes(8)).cast("B").cast("q" if pa.types.is_large_string(column.type) else "i")
        self._offsets = every[column.offset :]
        self._data = memoryview(data or b"")

    def __getitem__(self, row: int) -> str:
        return str(self._data[self._offsets[row] : self._offsets[row + 1]], "utf-8")
