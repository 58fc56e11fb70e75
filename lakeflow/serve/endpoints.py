"""What the server answers: one row, many rows, what a cache is, and whether the server lives."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from lakeflow.cache.columns import FOUND
from lakeflow.jsonable import to_json
from lakeflow.serve.answer import Answer, RequestError
from lakeflow.serve.opened import KEY_BYTES, key_of_path
from lakeflow_io.errors import InputError, NotFoundError, SchemaError, UnsupportedError

if TYPE_CHECKING:
    from lakeflow.cache.keys import Key, KeyColumn
    from lakeflow.cache.version import OpenVersion
    from lakeflow.serve.opened import Caches

__all__ = ["BODY_BYTES", "describe", "get_many_rows", "get_row", "health"]

BATCH_KEYS = 10_000
"""The most keys of one request: 0.1 to 0.3 s of the server's time for ten columns."""
BODY_BYTES = 1 << 20
"""The largest request body."""
ANSWER_BYTES = 64 << 20
"""The largest answer: without it, one megabyte of keys could ask for any amount of memory."""
_BLOCK_KEYS = 128  # rows that are in memory as Python values before the answer's size is looked at


def health() -> Answer:
    """Say that the server takes requests; it looks at no cache."""
    return _json(to_json({"status": "ok"}))


def get_row(caches: Caches, name: str, raw_key: bytes, known_tags: str | None) -> Answer:
    """Return the row of one key; its ETag is the id of the version, which never changes.

    Args:
        caches: Where to look.
        name: The cache's name, unchecked.
        raw_key: The key as in the path, percent-encoding undone.
        known_tags: `If-None-Match`.

    Raises:
        LakeflowError: `of_exception` has a status for each.
    """
    _, opened = caches.open(name)
    found = opened.find(key_of_path(raw_key, opened.key))
    if found is None:
        raise NotFoundError(f"There is no row with this key in cache {name!r} (version {opened.manifest.version}).")
    tag = opened.manifest.version
    if _is_known(tag, known_tags):
        return _unchanged(tag)
    shard, row = found
    return _json(to_json(shard.row(row)), tag)


def describe(caches: Caches, name: str, known_tags: str | None) -> Answer:
    """Return schema, rows, version, source and versions of a cache.

    Its ETag is a digest: the list of versions changes also where the current one stays.

    Raises:
        LakeflowError: `of_exception` has a status for each.
    """
    cache, opened = caches.open(name)
    manifest = opened.manifest
    facts = {
        "name": name,
        "key": manifest.key,
        "schema": [{"name": each.name, "type": str(each.type), "nullable": each.nullable} for each in manifest.schema],
        "rows": manifest.rows,
        "version": manifest.version,
        "created": manifest.created,
        "source": manifest.origin.source,
        "versions": [asdict(each) for each in cache.versions()],
    }
    text = to_json(facts)
    tag = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return _unchanged(tag) if _is_known(tag, known_tags) else _json(text, tag)


def get_many_rows(caches: Caches, name: str, body: bytes) -> Answer:
    """Return `{"version": id, "rows": [...]}`: a row or null for each key, in the order asked.

    Args:
        caches: Where to look.
        name: The cache's name, unchecked.
        body: `{"keys": [...]}`; a binary key as base64 text.

    Raises:
        RequestError: more keys than 10,000, or an answer past 64 MiB.
        LakeflowError: `of_exception` has a status for each.
    """
    _, opened = caches.open(name)
    keys = [_key_of_json(each, opened.key) for each in _asked(body)]
    blocks: list[str] = []
    room = ANSWER_BYTES
    for start in range(0, len(keys), _BLOCK_KEYS):
        blocks.append(to_json(_rows(opened, keys[start : start + _BLOCK_KEYS]))[1:-1])
        room -= len(blocks[-1])
        if room < 0:
            message = f"The rows have more than {ANSWER_BYTES >> 20} MiB together: ask for fewer."
            raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    return _json(f'{{"version": {to_json(opened.manifest.version)}, "rows": [{", ".join(blocks)}]}}')


def _rows(opened: OpenVersion, keys: list[Key]) -> list[dict[str, Any] | None]:
    """Look keys up together, which is five times as fast as one by one."""
    table = opened.get_many(keys)
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except (ValueError, OverflowError) as error:
        raise UnsupportedError(f"A row has a value without a Python form: {error}") from error
    return [row if row.pop(FOUND) else None for row in rows]


def _asked(body: bytes) -> list[Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("The body isn't JSON.", 'send {"keys": [...]}.') from None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise InputError("The body has no list of keys.", 'send {"keys": [...]}.')
    if len(keys) > BATCH_KEYS:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {BATCH_KEYS} keys in one request.")
    return keys


def _key_of_json(value: Any, column: KeyColumn) -> Key:
    if isinstance(value, str) and len(value) > KEY_BYTES:
        raise InputError(f"A key has at most {KEY_BYTES} characters in a batch.")
    if column.python is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise SchemaError(f"Key {value!r} isn't base64, which binary keys are sent as.") from None
    return column.check(value)


def _is_known(tag: str, known_tags: str | None) -> bool:
    """Compare weakly, as RFC 9110, 13.1.2 wants it for reads."""
    if known_tags is None:
        return False
    each = [known.strip().removeprefix("W/") for known in known_tags.split(",")]
    return "*" in each or f'"{tag}"' in each


def _unchanged(tag: str) -> Answer:
    return Answer(HTTPStatus.NOT_MODIFIED, headers=_caching(tag))


def _json(text: str, tag: str | None = None) -> Answer:
    return Answer(HTTPStatus.OK, text.encode(), _caching(tag) if tag else {"cache-control": "no-store"})


def _caching(tag: str) -> dict[str, str]:
    """A copy may be kept, and must be asked for again: a publish or a rollback may come at any moment."""
    return {"etag": f'"{tag}"', "cache-control": "no-cache"}
