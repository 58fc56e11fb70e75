"""Makes a built version the current one, and an earlier version current again: one pointer swap each."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakeflow.cache.checks import run_checks
from lakeflow.cache.claim import sweep
from lakeflow.cache.durable import exclusive, replace, sync_folder
from lakeflow.cache.failures import writing
from lakeflow.cache.manifest import MANIFEST_NAME, Manifest, read_manifest
from lakeflow.cache.pointer import Pointer, read_consistently, read_pointer, write_pointer
from lakeflow.cache.version import OpenVersion
from lakeflow_io.errors import CommitConflictError, InternalError, NotFoundError, PlanChangedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from lakeflow.cache.build import Built
    from lakeflow.cache.checks import Check
    from lakeflow.cache.layout import CacheFolder
    from lakeflow.cache.manifest import Origin
    from lakeflow.cache.retention import Retention

__all__ = ["current", "find_run", "pin", "publish", "published", "rollback"]


def publish(
    cache: CacheFolder,
    folder: Path,
    built: Built,
    origin: Origin,
    retention: Retention,
    checks: Sequence[Check] = (),
    *,
    base: str | None = None,
) -> Manifest:
    """Read finished files back, write their manifest, run checks, and switch readers to the version.

    A run publishes once: where another process published the same run meanwhile, that version is
    returned and `folder` is left out. Checks run without the lock, which would hold other publishers up;
    where one of these was faster, they run again, beside what is current then.

    Args:
        cache: Where.
        folder: The claimed folder with the files of `built`.
        built: What `build` returned.
        origin: The run and its input.
        retention: Which versions stay, beside this one.
        checks: What must be true of the version.
        base: The version that must still be the current one, where this one was built on it.

    Raises:
        PlanChangedError: the run id was used with another plan.
        CheckFailedError: a check failed.
        CommitConflictError: another version than `base` is current.
        StoreError: the manifest or pointer can't be written; the old version stays current.
    """
    manifest = Manifest(folder.name, datetime.now(UTC), built.key, built.schema, built.shards, origin)
    opened = OpenVersion.open(folder, manifest)
    _read_back(folder, opened, built)
    replace(folder / MANIFEST_NAME, manifest.to_json())
    sync_folder(cache.versions)
    while True:
        previous = current(cache) if checks else None
        run_checks(checks, opened, previous)
        with exclusive(cache.lock):
            earlier = find_run(cache, origin)
            if earlier:
                return earlier
            pointer = read_pointer(cache.pointer)
            if base is not None and (pointer is None or pointer.version != base):
                message = f"Version {base} of {cache.path} isn't the current one any more."
                raise CommitConflictError(message, "update again.")
            if checks and (pointer and pointer.version) != (previous and previous.id):
                continue
            now = time.time()
            new = pointer or Pointer(manifest.version, (manifest.version,))
            write_pointer(cache.pointer, retention.applied(new.switched(manifest.version, now), now))
            with writing(cache.versions):
                sweep(cache)
            return manifest


def rollback(cache: CacheFolder, version: str | None) -> Manifest:
    """Make an earlier version current again.

    Args:
        cache: Where.
        version: A published version; the one published before the current where None.

    Raises:
        NotFoundError: there is no such version.
        CorruptFileError, ObjectNotFoundError: its files aren't whole; the current version stays.
    """
    _need_pointer(cache)  # before the lock, whose folder a mistyped name doesn't have
    with exclusive(cache.lock):
        pointer = _need_pointer(cache)
        if version is None:
            place = pointer.published.index(pointer.version)
            if place == 0:
                message = f"{cache.path} has no version before the current one, {pointer.version}."
                raise NotFoundError(message, "publish a new version; name a newer one to go forward.")
            version = pointer.published[place - 1]
        elif version not in pointer.published:
            raise NotFoundError.among("version", version, str(cache.path), list(pointer.published))
        folder = cache.versions / version
        manifest = read_manifest(folder)
        OpenVersion.open(folder, manifest)
        write_pointer(cache.pointer, pointer.switched(version, time.time()))
        return manifest


def pin(cache: CacheFolder, version: str | None, *, pinned: bool) -> Manifest:
    """Keep a version whatever is published, or do so no longer.

    Args:
        cache: Where.
        version: A published version; the current one where None.
        pinned: Whether it stays.

    Raises:
        NotFoundError: there is no such version.
    """
    _need_pointer(cache)
    with exclusive(cache.lock):
        pointer = _need_pointer(cache)
        version = pointer.version if version is None else version
        if version not in pointer.published:
            raise NotFoundError.among("version", version, str(cache.path), list(pointer.published))
        others = [each for each in pointer.pinned if each != version]
        write_pointer(cache.pointer, dataclasses.replace(pointer, pinned=(*others, *[version] * pinned)))
        return read_manifest(cache.versions / version)


def published(cache: CacheFolder) -> tuple[list[Manifest], Pointer | None]:
    """Return every published version, oldest first, and the pointer that names them."""

    def read(pointer: Pointer | None) -> tuple[list[Manifest], Pointer | None]:
        names = pointer.published if pointer else ()
        return [read_manifest(cache.versions / name) for name in names], pointer

    return read_consistently(cache.pointer, read)


def find_run(cache: CacheFolder, origin: Origin) -> Manifest | None:
    """Return the version that a run published, if it did and it is still kept.

    Raises:
        PlanChangedError: the run id was used with another plan.
    """
    if origin.run_id is None:
        return None
    for manifest in published(cache)[0]:
        if manifest.origin.run_id == origin.run_id:
            if manifest.origin.plan_digest != origin.plan_digest:
                message = f"Run {origin.run_id!r} published version {manifest.version} from another plan."
                raise PlanChangedError(message, "use a new run id.")
            return manifest
    return None


def _need_pointer(cache: CacheFolder) -> Pointer:
    pointer = read_pointer(cache.pointer)
    if pointer is None:
        raise NotFoundError(f"{cache.path} has no version yet.", "publish one with Cache.load().")
    return pointer


def current(cache: CacheFolder) -> OpenVersion | None:
    """Open the current version; None where nothing was published."""

    def read(pointer: Pointer | None) -> OpenVersion | None:
        if pointer is None:
            return None
        folder = cache.versions / pointer.version
        return OpenVersion.open(folder, read_manifest(folder))

    return read_consistently(cache.pointer, read)


def _read_back(folder: Path, version: OpenVersion, built: Built) -> None:
    """Compare counts, and read a sample back through both read paths."""
    if version.rows != built.rows:
        message = f"{folder} has {version.rows} rows of the {built.rows} it was built from."
        raise InternalError(message, "please report it; nothing was published.")
    keys = version.key.keys_of(built.sample)
    seen = version.get_many(keys)
    wrong = [name for name in built.schema.names if not _same(built.sample[name], seen[name])]
    if wrong or not all(version.find(key) for key in version.key.values(keys)):
        message = f"A sample of {folder} doesn't read back as it was written; columns: {wrong}."
        raise InternalError(message, "please report it; nothing was published.")


def _same(expected: pa.ChunkedArray, seen: pa.ChunkedArray) -> bool:
    """Compare two columns; those with NaN by the text of their values, in which it equals itself."""
    return expected.equals(seen) or repr(expected.to_pylist()) == repr(seen.to_pylist())
