"""What the server answers about one cache: one row, and what the cache is."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from lakeflow.jsonable import to_json
from lakeflow.serve.answer import Answer
from lakeflow.serve.asked_columns import asked_columns
from lakeflow.serve.opened import key_of_path
from lakeflow_io.errors import NotFoundError

if TYPE_CHECKING:
    from lakeflow.serve.noted import Noted
    from lakeflow.serve.opened import Caches

__all__ = ["age_seconds", "describe", "get_row"]


def get_row(caches: Caches, name: str, key: bytes, query: bytes, known_tags: str | None, noted: Noted) -> Answer:
    """Return the row of one key; its ETag is the id of the version, which never changes.

    Args:
        caches: Where to look.
        name: The cache's name, unchecked.
        key: As in the path, percent-encoded.
        query: As in the URL; see `asked_columns`.
        known_tags: `If-None-Match`.
        noted: Is told the cache, and whether the key was found.

    Raises:
        RequestError: the key or the query is too long.
        LakeflowError: `of_exception` has a status for each.
    """
    _, opened = caches.open(name)
    noted.cache = name
    asked, columns = key_of_path(key, opened.key), asked_columns(query, opened)
    noted.keys = 1
    row = opened.get(asked, columns)
    if row is None:
        raise NotFoundError(f"There is no row with this key in cache {name!r} (version {opened.manifest.version}).")
    noted.found = 1
    tag = f'"{opened.manifest.version}"'
    if _is_known(tag, known_tags):
        return _unchanged(tag)
    return Answer.of_json(to_json(row), _caching(tag))


def describe(caches: Caches, name: str, known_tags: str | None, noted: Noted) -> Answer:
    """Return schema, rows, version, source, freshness and versions of a cache.

    Its ETag is a digest: the list of versions changes also where the current one stays. It is a weak
    one, as the freshness, which changes all the time, isn't in it.

    Raises:
        LakeflowError: `of_exception` has a status for each.
    """
    cache, opened = caches.open(name)
    noted.cache = name
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
    tag = f'W/"{hashlib.blake2b(to_json(facts).encode(), digest_size=16).hexdigest()}"'
    if _is_known(tag, known_tags):
        return _unchanged(tag)
    return Answer.of_json(to_json({**facts, "age_seconds": age_seconds(manifest.created)}), _caching(tag))


def age_seconds(created: datetime) -> float:
    """Return the seconds since a version was published, to the millisecond; 0 where a clock is behind."""
    return round(max(0.0, (datetime.now(UTC) - created).total_seconds()), 3)


def _is_known(tag: str, known_tags: str | None) -> bool:
    """Compare weakly, as RFC 9110, 13.1.2 wants it for reads."""
    if known_tags is None:
        return False
    each = [known.strip().removeprefix("W/") for known in known_tags.split(",")]
    return "*" in each or tag.removeprefix("W/") in each


def _unchanged(tag: str) -> Answer:
    return Answer(HTTPStatus.NOT_MODIFIED, headers=_caching(tag))


def _caching(tag: str) -> dict[str, str]:
    """A copy may be kept, and must be asked for again: a publish or a rollback may come at any moment."""
    return {"etag": tag, "cache-control": "no-cache"}
