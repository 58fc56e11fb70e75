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

from lakeflow.serve.answer import RequestError
from lakeflow.serve.limits import BATCH_KEYS, KEY_BYTES
from lakeflow_io.errors import InputError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["keys_of_stream"]

_HINT = "send one column of keys: integers, string, large_string, binary or large_binary, uncompressed."
# Message.fbs and Schema.fbs of Apache Arrow: the places of fields in their tables.
_MESSAGE_VERSION, _MESSAGE_HEADER, _BATCH_COMPRESSION = 0, 2, 3
_V5 = 4  # since Arrow 1.0; V4 could say in other places that it is compressed


def keys_of_stream(body: bytes) -> pa.Array:
    """Return the one column of a stream, at most 10,000 rows, without nulls.

    Args:
        body: An Arrow IPC stream.

    Raises:
        InputError: it is none, or it has another number of columns.
        SchemaError: the column is of a type that no key has, or it has a null.
        RequestError: too many keys.
    """
    try:
        return pa.concat_arrays(list(_columns(body)))
    except (pa.ArrowException, OSError, ValueError, struct.error, StopIteration, EOFError):
        raise InputError("The body can't be read as an Arrow IPC stream.", _HINT) from None


def _columns(body: bytes) -> Iterator[pa.Array]:
    """Give the column of each batch, behind an empty one."""
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    schema = _schema(messages)
    yield pa.array([], type=schema.field(0).type)
    rows = 0
    for message in messages:
        if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
            raise InputError("The body has a message that is no plain record batch.", _HINT)
        batch = pa.ipc.read_record_batch(message, schema)
        rows += batch.num_rows
        if rows > BATCH_KEYS:
            raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {BATCH_KEYS} keys in one request.")
        batch.validate(full=True)
        yield _checked(batch.column(0))


def _schema(messages: Any) -> pa.Schema:
    try:
        message = messages.read_next_message()
    except StopIteration:
        raise InputError("The body is empty.", _HINT) from None
    if message.type != "schema":  # Arrow reads any message as one, and past its end
        raise InputError("The body doesn't begin with a schema.", _HINT)
    schema = pa.ipc.read_schema(message)
    if len(schema) != 1:
        raise InputError(f"The body has {len(schema)} columns.", _HINT)
    kind = schema.field(0).type
    known = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
    if not any(each(kind) for each in (*known, pa.types.is_binary, pa.types.is_large_binary)):
        raise SchemaError(f"The keys are {kind}, which can't be a key.", _HINT)
    return schema


def _checked(keys: pa.Array) -> pa.Array:
    if keys.null_count:
        raise SchemaError("A null can't be a key.", "drop the nulls first.")
    if not pa.types.is_integer(keys.type) and len(keys):
        longest = pc.call_function("max", [pc.call_function("binary_length", [keys])]).as_py()
        if longest > KEY_BYTES:
            raise InputError(f"A key has at most {KEY_BYTES} bytes in a batch.")
    return keys


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
