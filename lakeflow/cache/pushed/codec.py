"""One row as one value: the JSON list of its columns' values, without the key, in the schema's order.

Why JSON: the standard library's C code reads and writes it at a few microseconds a row, nothing has to
be installed to read it, and an operator can read it with any client. Names and types stand once, beside the
pointer, so that a row is smaller than a dict; one row as an Arrow IPC batch is some 500 bytes of frame alone.

It is exact: a reader gets what `Cache.get` gives, or the push is refused, by the column's name.

| column | in JSON |
|---|---|
| boolean, integer, string, null | itself |
| float | its shortest exact digits; NaN and infinities as Python's json names them (not in the standard) |
| date, time, timestamp, duration | the integer that Arrow stores |
| binary | base64 text |
| decimal | text |
| interval | list of months, days and nanoseconds |
| list, struct, map | list; object; list of pairs |
| extension types, such as UUID | what they are stored as |
| anything else, such as a struct of which two fields have one name | refused |
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lakeflow.cache.keys.hashing import join_key
from lakeflow.cache.pushed.values import from_json, has_form, python_of, to_json
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeflow.cache.keys.column import Key, KeyNames

__all__ = ["RowCodec", "key_bytes"]


class RowCodec:
    """Writes and reads the rows of one schema.

    Args:
        schema: The columns of the version.
        key: The key column or columns, which are in the store's key and not in the value.

    Raises:
        UnsupportedError: a column's type has no exact form; it names the column.
    """

    def __init__(self, schema: pa.Schema, key: KeyNames) -> None:
        self._schema = schema
        self._key = (key,) if isinstance(key, str) else key
        self._columns = [field for field in schema if field.name not in self._key]
        refused = [f"{field.name!r} ({field.type})" for field in self._columns if not has_form(field.type)]
        if refused:
            message = f"A pushed row can't hold column {', '.join(refused)} exactly."
            raise UnsupportedError(message, "cast it to a plain type, a string or binary, and publish again.")
        self._names = [field.name for field in self._columns]
        self._to_python = [python_of(field.type) for field in self._columns]

    def encode(self, rows: pa.Table) -> list[str]:
        """Return the value of each row."""
        columns = [to_json(rows[field.name].combine_chunks()) for field in self._columns]
        each_row = zip(*columns, strict=True) if columns else iter([()] * rows.num_rows)
        return [_ENCODER.encode(row) for row in each_row]

    def row(self, key: Key, value: bytes) -> dict[str, Any]:
        """Return a row as `Cache.get` does.

        Raises:
            CorruptFileError: the value isn't one of this schema.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        row: dict[str, Any] = dict.fromkeys(self._schema.names)
        row.update(zip(self._key, key if isinstance(key, tuple) else (key,), strict=True))
        try:
            for name, convert, stored in zip(self._names, self._to_python, self._values(value), strict=True):
                row[name] = stored if convert is None or stored is None else convert(stored)
        except (ValueError, OverflowError) as error:
            message = f"The row of key {key!r} has a value without a Python form: {error}"
            raise UnsupportedError(message, "read it as Arrow, with get_many().") from error
        return row

    def columns(self, values: list[bytes | None]) -> dict[str, pa.Array]:
        """Return the columns but the key, with nulls where there is no value.

        Raises:
            CorruptFileError: a value isn't one of this schema.
        """
        missing = [None] * len(self._columns)
        rows = [missing if value is None else self._values(value) for value in values]
        each_column = list(zip(*rows, strict=True)) if rows else [()] * len(self._columns)
        pairs = zip(self._columns, each_column, strict=True)
        return {field.name: from_json(list(column), field.type) for field, column in pairs}

    def _values(self, value: bytes) -> list[Any]:
        try:
            values = json.loads(value)
        except ValueError:
            values = None
        if not isinstance(values, list) or len(values) != len(self._columns):
            message = f"A row in the store isn't one that lakeflow wrote: {value[:60]!r}."
            raise CorruptFileError(message, "push another version of the cache.")
        return values


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def key_bytes(key: Key) -> bytes:
    """Return a key as the store's key ends: decimal digits, UTF-8, the bytes themselves; or as `join_key` does."""
    if isinstance(key, tuple):
        return join_key(key)
    return key if isinstance(key, bytes) else str(key).encode()
