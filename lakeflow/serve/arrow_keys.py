"""Keys from an Arrow IPC stream that anyone may have sent.

Arrow's reader checks what it reads, but not what that costs: a compressed buffer says itself how large
it will be, and one column can refer to the same bytes a million times. So each message is looked at
before it is decoded, and only plain columns of keys are.
"""

from __future__ import annotations

import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.keys.composite import CompositeKey
from lakeflow.serve.answer import RequestError
from lakeflow.serve.limits import BATCH_KEYS, KEY_BYTES
from lakeflow_io.errors import InputError, SchemaError
from lakeflow_io.keyed.binding import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakeflow.cache.keys.column import KeyColumn

__all__ = ["keys_of_stream"]

_HINT = (
    "send integers, string, large_string, binary or large_binary, uncompressed: one column, or a key's by their names."
)
# Message.fbs and Schema.fbs of Apache Arrow: the places of fields in their tables.
_MESSAGE_VERSION, _MESSAGE_HEADER, _BATCH_COMPRESSION = 0, 2, 3
_SHOWN_CHARACTERS = 200
_V5 = 4  # since Arrow 1.0; V4 could say in other places that it is compressed


def keys_of_stream(body: bytes, column: KeyColumn) -> pa.Array:
    """Return the keys of a stream, at most 10,000, without nulls; structs where several columns are the key.

    Args:
        body: An Arrow IPC stream: of one column, whatever its name; or of a key's columns, by their names.
        column: What the cache's keys are.

    Raises:
        InputError: it is none.
        SchemaError: it has other columns, one of a type that no key has, or one with a null.
        RequestError: too many keys.
    """
    try:
        return pa.concat_arrays(list(_arrays(body, column)))
    except (pa.ArrowException, OSError, ValueError, struct.error, StopIteration, EOFError):
        raise InputError("The body can't be read as an Arrow IPC stream.", _HINT) from None


def _arrays(body: bytes, column: KeyColumn) -> Iterator[pa.Array]:
    """Give the keys of each batch, behind none."""
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    schema = _schema(messages, column)
    yield _keys(pa.RecordBatch.from_pylist([], schema=schema), column)
    rows = 0
    for message in messages:
        if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
            raise InputError("The body has a message that is no plain record batch.", _HINT)
        batch = pa.ipc.read_record_batch(message, schema)
        rows += batch.num_rows
        if rows > BATCH_KEYS:
            raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {BATCH_KEYS} keys in one request.")
        batch.validate(full=True)
        yield _keys(batch, column)


def _schema(messages: Any, column: KeyColumn) -> pa.Schema:
    try:
        message = messages.read_next_message()
    except StopIteration:
        raise InputError("The body is empty.", _HINT) from None
    if message.type != "schema":  # Arrow reads any message as one, and past its end
        raise InputError("The body doesn't begin with a schema.", _HINT)
    schema = pa.ipc.read_schema(message)
    if isinstance(column, CompositeKey):
        _check_names(schema.names, column)
    elif len(schema) != 1:
        raise SchemaError(f"The body has {len(schema)} columns, and the key is one.", _HINT)
    for field in schema:
        if not (pa.types.is_integer(field.type) or is_text(field.type)):
            raise SchemaError(f"The keys are {field.type}, which can't be a key.", _HINT)
    return schema


def _check_names(names: Sequence[str], column: CompositeKey) -> None:
    """Refuse other columns than the key's: what isn't needed would be decoded, too."""
    if sorted(names) != sorted(column.names):
        seen = f"{len(names)} columns" if len(names) > len(column.names) else ", ".join(map(repr, names)) or "no column"
        raise SchemaError(f"The body has {seen[:_SHOWN_CHARACTERS]}; the key is {column.name}.", _HINT)


def _keys(batch: pa.RecordBatch, column: KeyColumn) -> pa.Array:
    for each in batch.columns:
        _check(each)
    return batch.to_struct_array() if isinstance(column, CompositeKey) else batch.column(0)


def _check(keys: pa.Array) -> None:
    if keys.null_count:
        raise SchemaError("A null can't be a key.", "drop the nulls first.")
    if not pa.types.is_integer(keys.type) and len(keys):
        longest = pc.call_function("max", [pc.call_function("binary_length", [keys])]).as_py()
        if longest > KEY_BYTES:
            raise InputError(f"A key has at most {KEY_BYTES} bytes in a batch.")


def _is_compressed(metadata: bytes) -> bool:
    """Read from a record batch's FlatBuffer whether its buffers are compressed, or may be."""
    message = struct.unpack_from("<I", metadata, 0)[0]
    version = _place(metadata, message, _MESSAGE_VERSION)
    if version is None or struct.unpack_from("<h", metadata, version)[0] != _V5:
        return True
    header = _place(metadata, message, _MESSAGE_HEADER)
    if header is None:
        return True
    batch = header + struct.unpack_from("<I", metadata, header)[0]
    return _place(metadata, batch, _BATCH_COMPRESSION) is not None


def _place(metadata: bytes, table: int, number: int) -> int | None:
    """Return where a table's field is; None where it isn't set (flatbuffers.dev/internals)."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    size = struct.unpack_from("<H", metadata, fields)[0]
    entry = 4 + 2 * number
    offset = struct.unpack_from("<H", metadata, fields + entry)[0] if entry + 2 <= size else 0
    return table + offset if offset else None
