"""How the columns of a version lie in one row's bytes: all of fixed width first, then the others' bytes.

    null bits | values of fixed width, and the lengths of the others | their bytes

A bit is set where the column, by its place in the schema, is null. Values are as Arrow has them, little-endian and
unaligned: so every type is exact that Arrow stores in a fixed number of bytes. A boolean is one byte. Text and
binary are their bytes; lists of values of fixed width are as `lists` says, all else that is nested, and extension
types, are JSON, as `RowCodec` writes it; a length is four bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from lakeflow.cache.pushed.codec import RowCodec
from lakeflow.cache.rows.lists import item_width, unpacked_lists

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Field", "Fields"]

_types = pa.types
_WORDS = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}
_FLOATS = {2: "e", 4: "f", 8: "d"}
_INTEGERS = {1: "b", 2: "h", 4: "i", 8: "q"}
_BYTES = (_types.is_binary, _types.is_large_binary)
_TEXTS = (_types.is_string, _types.is_large_string)

_Kind: TypeAlias = Literal["none", "bool", "fixed", "bytes", "list", "nested"]
"""`none` is the null type's."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column."""

    place: int
    """In the schema; names may be anything, so that arrays of records name columns by it."""
    name: str
    type: pa.DataType
    kind: _Kind
    width: int
    """Bytes in the fixed part."""
    codec: RowCodec | None
    """Of a column in JSON."""

    @classmethod
    def of(cls, place: int, field: pa.Field) -> Field:
        """Describe a column.

        Raises:
            UnsupportedError: it has no exact form, not even in JSON; it names the column.
        """
        kind = field.type
        if _types.is_null(kind):
            return cls(place, field.name, kind, "none", 0, None)
        if _types.is_boolean(kind):
            return cls(place, field.name, kind, "bool", 1, None)
        if any(test(kind) for test in (*_BYTES, *_TEXTS)) or kind == pa.binary(0):
            return cls(place, field.name, kind, "bytes", 4, None)
        if item_width(kind):
            return cls(place, field.name, kind, "list", 4, None)
        if _types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
            return cls(place, field.name, kind, "nested", 4, RowCodec(pa.schema([field]), ()))
        return cls(place, field.name, kind, "fixed", kind.bit_width // 8, None)

    @property
    def outside(self) -> bool:
        """Whether its bytes come after the fixed part."""
        return self.kind in ("bytes", "list", "nested")

    @property
    def letter(self) -> str:
        """Its format in `struct`."""
        if self.kind == "bool":
            return "?"
        if self.outside:
            return "I"
        if _types.is_floating(self.type):
            return _FLOATS[self.width]
        if _types.is_integer(self.type):
            letter = _INTEGERS[self.width]
            return letter if _types.is_signed_integer(self.type) else letter.upper()
        return f"{self.width}s"

    @property
    def to_python(self) -> Callable[[bytes], Any] | None:
        """What makes the value that Arrow gives of its bytes, where `struct` or the bytes don't."""
        if self.codec is not None:
            codec = self.codec
            return lambda data: codec.row((), data)[self.name]
        if self.kind == "list":
            return lambda data: _list_of(self.type, data)
        if any(test(self.type) for test in _TEXTS):
            return bytes.decode
        if self.kind == "fixed" and self.letter.endswith("s"):
            return lambda data: pa.Array.from_buffers(self.type, 1, [None, pa.py_buffer(data)])[0].as_py()
        return None


class Fields:
    """The columns of a schema.

    Raises:
        UnsupportedError: a column has no exact form; it names the column.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.all = [Field.of(place, field) for place, field in enumerate(schema)]
        self.null_bytes = -(-len(self.all) // 8)
        inside = [(str(field.place), _WORDS.get(field.width, f"V{field.width}")) for field in self.all if field.width]
        self.records: np.dtype[Any] = np.dtype([("nulls", "u1", (self.null_bytes,)), *inside])
        """The fixed part of a row; a column's number is its name."""


def _list_of(kind: pa.DataType, data: bytes) -> Any:
    offsets = np.array([0, len(data)])
    return unpacked_lists(kind, np.frombuffer(data, np.uint8), offsets, np.zeros(1, bool))[0].as_py()
