"""Many keys at once: what a body asks for, and its rows as JSON or as an Arrow IPC stream."""

from __future__ import annotations

import base64
import binascii
import json
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.files.columns import FOUND
from lakeflow.cache.keys.composite import CompositeKey
from lakeflow.jsonable import to_json
from lakeflow.serve import limits
from lakeflow.serve.answer import Answer, RequestError
from lakeflow.serve.arrow_keys import keys_of_stream
from lakeflow.serve.asked_columns import asked_columns
from lakeflow.serve.limits import BATCH_KEYS, JSON_KEY_CHARACTERS, KEY_BYTES
from lakeflow.serve.media import Form
from lakeflow_io.errors import InputError, SchemaError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.serve.noted import Noted
    from lakeflow.serve.opened import Caches

__all__ = ["VERSION", "get_many_rows"]

VERSION = b"lakeflow.version"
"""In the schema's metadata of a stream: the id of the version that its rows are of."""
_BLOCK_KEYS = 512
"""Rows that are looked up before the answer's size is looked at; any number where all are of one known size."""
_SHORT_CHARACTERS = KEY_BYTES // 4  # no text of so many is too long: UTF-8 has up to four bytes for each
_JSON_ROWS = 128  # that are in memory as Python values at once


def get_many_rows(
    caches: Caches, name: str, query: bytes, body: bytes, *, sent: Form, wanted: Form, noted: Noted
) -> Answer:
    """Return a row or none for each key, in the order asked, all of one version.

    Args:
        caches: Where to look.
        name: The cache's name, unchecked.
        query: As in the URL; see `asked_columns`.
        body: `{"keys": [...]}`, a binary key as base64 text; or an Arrow IPC stream: of one column, or
            of a key's columns, by their names.
        sent: Which of the two.
        wanted: `{"version": id, "rows": [...]}`, with null for a key without a row; or an Arrow IPC stream
            with these columns of the cache and `found`, and the version in its schema's metadata.
        noted: Is told the cache, and how many keys were asked for and found.

    Raises:
        RequestError: more keys than 10,000, an answer past 64 MiB, or a query that is too long.
        LakeflowError: `of_exception` has a status for each.
    """
    _, opened = caches.open(name)
    noted.cache = name
    columns = asked_columns(query, opened)
    keys: Sequence[Key] = keys_of_stream(body, opened.key) if sent is Form.ARROW else _keys_of_json(body, opened.key)
    noted.keys = len(keys)
    tables = _counted(_tables(opened, keys, columns), noted)
    return _as_arrow(opened, tables) if wanted is Form.ARROW else _as_json(opened, tables)


def _tables(opened: OpenVersion, keys: Sequence[Key], columns: list[str] | None) -> Iterator[pa.Table]:
    """Look keys up in blocks, at least one: together is five times as fast as one by one."""
    size = BATCH_KEYS if opened.is_flat else _BLOCK_KEYS
    for start in range(0, max(len(keys), 1), size):
        yield opened.get_many(keys[start : start + size], columns)


def _counted(tables: Iterator[pa.Table], noted: Noted) -> Iterator[pa.Table]:
    for table in tables:
        noted.found += sum(chunk.true_count for chunk in table[FOUND].chunks)
        yield table


def _as_json(opened: OpenVersion, tables: Iterator[pa.Table]) -> Answer:
    blocks: list[str] = []
    size = 0
    for table in tables:
        for start in range(0, table.num_rows, _JSON_ROWS):
            blocks.append(",".join(map(to_json, _rows(table.slice(start, _JSON_ROWS)))))
            size += len(blocks[-1])
            _check_size(size)
    return Answer.of_json(f'{{"version":{to_json(opened.manifest.version)},"rows":[{",".join(blocks)}]}}')


def _rows(table: pa.Table) -> list[dict[str, Any] | None]:
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except (ValueError, OverflowError) as error:
        message = f"A row has a value without a Python form: {error}"
        raise UnsupportedError(message, f"ask for it with 'accept: {Form.ARROW.value}'.") from error
    return [row if row.pop(FOUND) else None for row in rows]


def _as_arrow(opened: OpenVersion, tables: Iterator[pa.Table]) -> Answer:
    first = next(tables)
    schema = first.schema.with_metadata({VERSION: opened.manifest.version.encode()})
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
            _check_size(stream.tell())
    body = stream.getvalue().to_pybytes()
    return Answer(HTTPStatus.OK, body, {"content-type": Form.ARROW.value, "cache-control": "no-store"})


def _check_size(size: int) -> None:
    if size > limits.ANSWER_BYTES:
        message = f"The rows have more than {limits.ANSWER_BYTES >> 20} MiB together: ask for fewer."
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def _keys_of_json(body: bytes, column: KeyColumn) -> list[Key]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("The body isn't JSON.", 'send {"keys": [...]}.') from None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise InputError("The body has no list of keys.", 'send {"keys": [...]}.')
    if len(content) > 1:  # what is misspelled, or meant for the URL, would be taken for done
        raise InputError("The body has more than keys.", 'send {"keys": [...]}; columns go into the URL, ?columns=a,b.')
    if len(keys) > BATCH_KEYS:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {BATCH_KEYS} keys in one request.")
    if column.python is str and set(map(type, keys)) == {str} and max(map(len, keys)) <= _SHORT_CHARACTERS:
        return keys  # as most are; they are checked as text when they are looked up
    return [_key_of_json(each, column) for each in keys]


def _key_of_json(value: Any, column: KeyColumn) -> Key:
    if not isinstance(column, CompositeKey):
        return _value_of_json(value, column)
    if not isinstance(value, list) or len(value) != len(column.parts):
        return column.check(value)  # which says what is wrong
    return tuple(_value_of_json(each, part) for each, part in zip(value, column.parts, strict=True))


def _value_of_json(value: Any, column: KeyColumn) -> Any:
    if isinstance(value, str) and len(value) > JSON_KEY_CHARACTERS:  # before anything says what it is
        raise _too_long()
    if column.python is bytes and isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise SchemaError(f"Key {value!r} isn't base64, which binary keys are sent as.") from None
    checked: Any = column.check(value)
    if not isinstance(checked, int) and len(checked.encode() if isinstance(checked, str) else checked) > KEY_BYTES:
        raise _too_long()
    return checked


def _too_long() -> InputError:
    return InputError(f"A key has at most {KEY_BYTES} bytes in a batch.")
