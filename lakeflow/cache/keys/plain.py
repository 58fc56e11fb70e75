"""A key of one column: integers, strings or binary, and one Python value or many of its type."""

from __future__ import annotations

import contextlib
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.keys.asked import array_of, listed
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from lakeflow.cache.keys.column import Key, KeyPart, PythonType

__all__ = ["PlainKey"]


@dataclass(frozen=True, slots=True)
class PlainKey:
    """A column that is a key; a `KeyColumn`."""

    name: str
    python: PythonType
    """int, str or bytes."""
    type: pa.DataType
    """Any integer, string, large_string, binary or large_binary."""
    least: int
    """The least and the greatest integer that fit; both 0 for other types."""
    greatest: int

    @classmethod
    def of(cls, schema: pa.Schema, name: str) -> PlainKey:
        """Describe column `name` of `schema` as a key.

        Raises:
            SchemaError: there is no such column, or its type can't be a key.
        """
        if name not in schema.names:
            columns = ", ".join(schema.names) or "none"
            raise SchemaError(f"There is no key column {name!r}.", f"the columns are: {columns}.")
        kind = schema.field(name).type
        if pa.types.is_integer(kind):
            signed = pa.types.is_signed_integer(kind)
            least = -(1 << (kind.bit_width - 1)) if signed else 0
            return cls(name, int, kind, least, least + (1 << kind.bit_width) - 1)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return cls(name, str, kind, 0, 0)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return cls(name, bytes, kind, 0, 0)
        message = f"Column {name!r} is {kind}, which can't be a key."
        if pa.types.is_floating(kind):
            raise SchemaError(
                message, "keys are compared exactly, and NaN equals nothing: cast it to integers or strings."
            )
        raise SchemaError(message, "cast it to an integer, string or binary type.")

    @property
    def names(self) -> tuple[str, ...]:
        """The one name."""
        return (self.name,)

    @property
    def fields(self) -> list[pa.Field]:
        """The one name and type."""
        return [pa.field(self.name, self.type)]

    def check(self, key: object) -> KeyPart:
        """Return `key` as int, str or bytes.

        Raises:
            SchemaError: it is of another type, or an integer out of the column's range.
        """
        value: Any = key
        if type(value) is str is self.python and value.isascii():
            return value  # most keys: none of what follows can refuse them
        if self.python is int and not isinstance(key, (bool, int)) and hasattr(key, "__index__"):
            with contextlib.suppress(TypeError):  # of an array, or of Arrow's null
                value = operator.index(value)  # numpy's integers; its booleans and floats have no index
        if not isinstance(value, self.python) or isinstance(value, bool):
            message = f"Key {key!r} is {type(key).__name__}; the cache expects {self.python.__name__}."
            raise SchemaError(message, f"its key column {self.name!r} is {self.type}.")
        if self.python is int and not self.least <= value <= self.greatest:
            message = f"Key {key!r} doesn't fit column {self.name!r}, which is {self.type}."
            raise SchemaError(message, f"its keys are from {self.least} to {self.greatest}.")
        if isinstance(value, str) and not value.isascii():
            self._check_text(value)
        return value

    def array(self, keys: Any) -> pa.Array:
        """Return many keys as one Arrow array of the column's type.

        Args:
            keys: Python or numpy values, or anything with an Arrow or numpy array in it; dictionaries are their values.

        Raises:
            SchemaError: a null, a value of another type, or one out of range.
        """
        if isinstance(keys, pa.Array) and keys.type == self.type and not keys.null_count:
            return keys
        array = array_of(keys)
        if array is not None:
            return self._cast(array)
        each = listed(keys)
        if self.python is str and set(map(type, each)) <= {str}:
            try:
                return pa.array(each, type=self.type)
            except UnicodeEncodeError:
                pass  # `check` names the key
        return pa.array([self.check(key) for key in each], type=self.type)

    def keys_of(self, rows: pa.RecordBatch | pa.Table) -> pa.Array:
        """Return the column."""
        column = rows.column(self.name)
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def columns(self, keys: pa.Array) -> dict[str, pa.Array]:
        """Return the array under the column's name."""
        return {self.name: keys}

    def values(self, keys: pa.Array) -> list[Key]:
        """Return an array as Python values."""
        values: list[Key] = keys.to_pylist()
        return values

    def _cast(self, array: pa.Array) -> pa.Array:
        if array.null_count:
            raise SchemaError("A null can't be a key.", "drop the nulls first, for example with drop_null().")
        if _python_type(array.type) is not self.python and len(array):
            message = f"The keys asked for are {array.type}; column {self.name!r} is {self.type}."
            of_frame = pa.types.is_struct(array.type)
            raise SchemaError(message, "give one column." if of_frame else f"cast them to {self.type}.")
        try:
            return array.cast(self.type)
        except pa.ArrowException as error:
            message = f"A key doesn't fit column {self.name!r}, which is {self.type}: {error}"
            raise SchemaError(message) from error

    def _check_text(self, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SchemaError(f"Key {text!r} isn't text that UTF-8 can hold.") from error


def _python_type(kind: pa.DataType) -> PythonType | None:
    if pa.types.is_integer(kind):
        return int
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return str
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return bytes
    return None
