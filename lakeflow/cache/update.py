"""Publishes a version that is the current one with some rows changed: upserts and deletes of a cache.

Where another version becomes current meanwhile, the same changes are made to that one: an update never
undoes what others published. Every such round means that somebody else got ahead, so there is no end to
them that a count could set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow.cache.claim import claimed
from lakeflow.cache.load import write_segments
from lakeflow.cache.publish import current, find_run, publish
from lakeflow.cache.rebuild import rebuild
from lakeflow_io.errors import CommitConflictError, InputError, NotFoundError, ObjectNotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow.cache.checks import Check
    from lakeflow.cache.keys import ManyKeys
    from lakeflow.cache.layout import CacheFolder
    from lakeflow.cache.manifest import Manifest, Origin
    from lakeflow.cache.retention import Retention
    from lakeflow.cache.version import OpenVersion

__all__ = ["update"]


def update(
    cache: CacheFolder,
    data: Any,
    delete: ManyKeys | None,
    origin: Origin,
    retention: Retention,
    checks: Sequence[Check],
) -> Manifest:
    """Change rows of the current version; see `Cache.update`."""
    if data is None and delete is None:
        raise InputError("An update needs rows or keys to delete.", "give `data`, `delete` or both.")
    earlier = find_run(cache, origin)
    if earlier:
        return earlier
    base = planned = _base(cache)
    deleted = base.key.array([] if delete is None else delete)
    with claimed(cache) as scratch:
        segments = [] if data is None else write_segments(scratch, data, base.manifest.key, base.schema)
        while True:
            _refuse_other(planned, base)
            try:
                with claimed(cache) as folder:
                    built = rebuild(base, cache.versions / base.id, folder, segments, deleted)
                    return publish(cache, folder, built, origin, retention, checks, base=base.id)
            except (CommitConflictError, ObjectNotFoundError):
                old, base = base, _base(cache)
                if old.id == base.id:
                    raise


def _base(cache: CacheFolder) -> OpenVersion:
    found = current(cache)
    if found is None:
        raise NotFoundError(f"{cache.path} has no version to update.", "publish one with Cache.load().")
    return found


def _refuse_other(planned: OpenVersion, base: OpenVersion) -> None:
    """Refuse a version in which the rows that were prepared have no place."""
    if (planned.manifest.key, planned.schema) != (base.manifest.key, base.schema):
        message = f"Version {base.id}, published meanwhile, has other columns than {planned.id}."
        raise SchemaError(message, "update again with these columns; nothing was published.")
