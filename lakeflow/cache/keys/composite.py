"""A key of several columns together: tuples in Python, structs in Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.keys.asked import listed
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from lakeflow.cache.keys.column import Key, KeyPart, PythonType
    from lakeflow.cache.keys.plain import PlainKey

__all__ = ["CompositeKey"]


@dataclass(frozen=True, slots=True)
class CompositeKey:
    """Columns that are a key together; a `KeyColumn`."""

    parts: tuple[PlainKey, ...]

    @property
    def name(self) -> str:
        """All names, with commas between."""
        return ", ".join(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(part.name for part in self.parts)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns' names and types."""
        return [pa.field(part.name, part.type) for part in self.parts]

    @property
    def python(self) -> PythonType:
        """Tuple."""
        return tuple

    @property
    def type(self) -> pa.DataType:
        """A struct of the columns."""
        return pa.struct(self.fields)

    def check(self, key: object) -> tuple[KeyPart, ...]:
        """Return `key` as a tuple of int, str and bytes.

        Raises:
            SchemaError: it is no tuple or list of as many values, or one of them doesn't fit its column.
        """
        if not isinstance(key, (tuple, list)) or len(key) != len(self.parts):
            message = f"Key {key!r} isn't one value for each of the columns {self.name}."
            raise SchemaError(message, f"give a tuple of {len(self.parts)} values, in this order.")
        return tuple(part.check(value) for part, value in zip(self.parts, key, strict=True))

    def array(self, keys: Any) -> pa.Array:
        """Return many keys as one array of structs.

        Args:
            keys: Tuples; or a table, a frame, or an array of structs that has the columns by name. Others are ignored.

        Raises:
            SchemaError: a null, a value of another type, one out of range, or a column that isn't there.
        """
        if hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__arrow_c_array__"):
            return self._of_columns(self._table(keys))
        checked = [self.check(key) for key in listed(keys)]
        columns = list(zip(*checked, strict=True)) or [()] * len(self.parts)
        arrays = [pa.array(column, part.type) for part, column in zip(self.parts, columns, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=self.fields)

    def keys_of(self, rows: pa.RecordBatch | pa.Table) -> pa.Array:
        """Return the columns as structs."""
        return pa.StructArray.from_arrays([part.keys_of(rows) for part in self.parts], fields=self.fields)

    def columns(self, keys: pa.Array) -> dict[str, pa.Array]:
        """Take structs apart."""
        return dict(zip(self.names, keys.flatten(), strict=True))

    def values(self, keys: pa.Array) -> list[Key]:
        """Return structs as tuples."""
        return list(zip(*(column.to_pylist() for column in keys.flatten()), strict=True))

    def _table(self, keys: Any) -> pa.Table:
        try:
            if isinstance(keys, (pa.StructArray, pa.ChunkedArray)):
                if keys.null_count:
                    raise SchemaError("A null can't be a key.", "drop the nulls first.")
                return pa.Table.from_struct_array(keys)
            return pa.table(keys)
        except (pa.ArrowException, TypeError, ValueError) as error:
            message = f"The keys asked for are {type(keys).__name__} without the columns {self.name}: {error}"
            raise SchemaError(message, "give tuples, or a table of these columns.") from error

    def _of_columns(self, table: pa.Table) -> pa.Array:
        there = table.column_names
        missing = [name for name in self.names if there.count(name) != 1]
        if missing:
            message = (
                f"The keys asked for have no column {missing[0]!r}, or more than one; they have {', '.join(there)}."
            )
            raise SchemaError(message, f"give a table of {self.name}.")
        arrays = [part.array(table[part.name]) for part in self.parts]
        return pa.StructArray.from_arrays(arrays, fields=self.fields)
