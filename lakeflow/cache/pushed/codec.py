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
| list or struct of the first two rows | list; object |
| anything else | refused |
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.hashing import join_key
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.cache.keys import Key, KeyNames

__all__ = ["RowCodec", "key_bytes"]

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
        refused = [f"{field.name!r} ({field.type})" for field in self._columns if not _is_exact(field.type)]
        if refused:
            message = f"A pushed row can't hold column {', '.join(refused)} exactly."
            raise UnsupportedError(message, "cast it to a plain type, a string or binary, and publish again.")
        self._names = [field.name for field in self._columns]
        self._to_python = [_python_of(field.type) for field in self._columns]

    def encode(self, rows: pa.Table) -> list[str]:
        """Return the value of each row."""
        columns = [_to_json_values(rows[field.name].combine_chunks(), field.type) for field in self._columns]
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
        return {field.name: _to_arrow(list(column), field.type) for field, column in pairs}

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


def _is_exact(kind: pa.DataType) -> bool:
    storage = _any(_BINARY, kind) or _types.is_decimal128(kind) or _types.is_decimal256(kind)
    return storage or _is_counted(kind) or _is_plain(kind)


def _is_plain(kind: pa.DataType) -> bool:
    if _types.is_struct(kind):
        names = [field.name for field in kind]
        return len(names) == len(set(names)) and all(_is_plain(field.type) for field in kind)
    return _is_plain(kind.value_type) if _any(_LISTS, kind) else _any(_PLAIN, kind)


def _is_counted(kind: pa.DataType) -> bool:
    return _types.is_temporal(kind) and not _types.is_interval(kind)


def _any(tests: tuple[Callable[[pa.DataType], bool], ...], kind: pa.DataType) -> bool:
    return any(test(kind) for test in tests)


def _count_type(kind: pa.DataType) -> pa.DataType:
    """Return the integer that Arrow stores a date, time, timestamp or duration as."""
    return pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004  (bits)


def _to_json_values(column: pa.Array, kind: pa.DataType) -> list[Any]:
    if _is_counted(kind):
        return column.view(_count_type(kind)).to_pylist()
    values = column.to_pylist()
    if _is_plain(kind):
        return values
    convert: Callable[[Any], str] = str if _types.is_decimal(kind) else _base64
    return [None if value is None else convert(value) for value in values]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _to_storage(value: Any, kind: pa.DataType) -> Any:
    """Return the value that pyarrow takes for `kind`; an integer for what Arrow counts."""
    if isinstance(value, str) and _any(_BINARY, kind):
        return base64.b64decode(value)
    if isinstance(value, str) and _types.is_decimal(kind):
        return Decimal(value)
    return value


def _python_of(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Return what makes a JSON value the one that Arrow gives for `kind`; None where it is that already."""
    if _is_counted(kind):
        return lambda count: pa.array([count], _count_type(kind)).view(kind)[0].as_py()
    return None if _is_plain(kind) else lambda value: _to_storage(value, kind)


def _to_arrow(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        if _is_counted(kind):
            return pa.array(values, _count_type(kind)).view(kind)
        return pa.array([_to_storage(value, kind) for value in values], kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        message = f"Rows in the store don't fit their column's type, {kind}: {error}"
        raise CorruptFileError(message, "push another version of the cache.") from error
