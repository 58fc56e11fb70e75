"""Publishes a version that is the current one with some rows changed: upserts and deletes of a cache.

Where another version becomes current meanwhile, the same changes are made to that one: an update never
undoes what others published. Every such round means that somebody else got ahead, so there is no end to
them that a count could set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow.cache.building.load import write_segments
from lakeflow.cache.building.rebuild import rebuild
from lakeflow.cache.publishing.publish import current, find_run, publish
from lakeflow_io.errors import CommitConflictError, InputError, NotFoundError, ObjectNotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.building.segment import Segment
    from lakeflow.cache.files.manifest import Manifest, Origin
    from lakeflow.cache.keys.column import KeyNames, ManyKeys
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.cache.publishing.retention import Retention
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.shelf import Shelf

__all__ = ["publish_changes", "update"]


def update(
    cache: Shelf,
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
    base = _base(cache)
    deleted = base.key.array([] if delete is None else delete)
    with cache.scratch() as scratch:
        segments = [] if data is None else write_segments(scratch, data, base.manifest.key)
        return publish_changes(cache, base.manifest.key, segments, deleted, origin, retention, checks)


def publish_changes(
    cache: Shelf,
    key: KeyNames,
    segments: Sequence[Segment],
    deleted: pa.Array | None,
    origin: Origin,
    retention: Retention,
    checks: Sequence[Check],
) -> Manifest:
    """Publish the current version with the rows of segments, and without those of some keys.

    Args:
        cache: Where.
        key: The key column or columns by which the segments are sorted.
        segments: New rows.
        deleted: Keys, as `KeyColumn.array` makes them.
        origin: The run and its input.
        retention: Which versions stay, beside this one.
        checks: What must be true of the version.

    Raises:
        NotFoundError: nothing was published.
        SchemaError: the version has other columns, or another key.
        ObjectNotFoundError: a segment is gone.
        PlanChangedError, DuplicateKeyError, CheckFailedError, CorruptFileError, StoreError: as `Cache.update` says.
    """
    base = _base(cache)
    while True:
        if base.manifest.key != key:
            message = f"The rows have the key {key}, and version {base.id} has {base.manifest.key}."
            raise SchemaError(message, "update with the version's key; load() makes one with another.")
        try:
            with cache.claimed() as folder:
                gone = base.key.array([] if deleted is None else deleted)
                built = rebuild(base, cache, folder, segments, gone)
                return publish(cache, folder, built, origin, retention, checks, base=base.id)
        except (CommitConflictError, ObjectNotFoundError):
            old, base = base, _base(cache)
            if old.id == base.id:
                raise


def _base(cache: Shelf) -> OpenVersion:
    found = current(cache)
    if found is None:
        raise NotFoundError(f"{cache.place} has no version to update.", "publish one with Cache.load().")
    return found
