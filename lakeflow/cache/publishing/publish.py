"""Makes a built version the current one, and an earlier version current again: one pointer swap each."""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakeflow.cache.files.manifest import Manifest
from lakeflow.cache.files.pointer import Pointer, read_consistently
from lakeflow.cache.publishing.checks import run_checks
from lakeflow.cache.publishing.records import retired
from lakeflow_io.errors import (
    CommitConflictError,
    CorruptFileError,
    InternalError,
    LakeflowError,
    NotFoundError,
    ObjectNotFoundError,
    PlanChangedError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from lakeflow.cache.building.build import Built
    from lakeflow.cache.files.manifest import Origin
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.cache.publishing.retention import Retention
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.shelf import Shelf

__all__ = ["current", "find_run", "pin", "publish", "published", "rollback"]

_log = logging.getLogger("lakeflow.cache")


def publish(
    cache: Shelf,
    folder: Path,
    built: Built,
    origin: Origin,
    retention: Retention,
    checks: Sequence[Check] = (),
    *,
    base: str | None = None,
) -> Manifest:
    """Read finished files back, run checks, bring the files to where they belong, and switch readers to the version.

    A run publishes once: where another process published the same run meanwhile, that version is
    returned and `folder` is left out. Checks run while others may publish; where one of these was faster,
    they run again, beside what is current then.

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
        CommitConflictError: another version than `base` is current, or the claim on the version ran out.
        StoreError: the manifest or pointer can't be written; the old version stays current.
    """
    now = datetime.now(UTC)
    manifest = Manifest(folder.name, now, built.key, built.schema, built.shards, origin, built.buckets, built.layout)
    opened = cache.open(manifest, folder)
    _read_back(folder, opened, built)
    previous = _checked(cache, checks, opened)
    cache.complete(folder, manifest)
    outcome: Manifest | None = None

    def decide(pointer: Pointer | None) -> Pointer | None:
        nonlocal outcome
        # It may be listed: a store's answer to the last try may be lost, and others may have published since.
        outcome = manifest if pointer and manifest.version in pointer.published else find_run(cache, origin)
        if outcome is not None:
            return None
        if base is not None and (pointer is None or pointer.version != base):
            message = f"Version {base} of {cache.place} isn't the current one any more."
            raise CommitConflictError(message, "update again.")
        if checks and (pointer and pointer.version) != previous:
            return None
        outcome, now = manifest, time.time()
        new = pointer or Pointer(manifest.version, (manifest.version,))
        return retired(cache, retention, new.switched(manifest.version, now), now)

    while not cache.change(decide):
        if outcome is not None:
            return outcome
        previous = _checked(cache, checks, opened)
    try:
        cache.sweep()
    except LakeflowError as error:  # it is published all the same
        _log.warning(
            "What %s doesn't need any more wasn't removed; the next publish or gc does: %s", cache.place, error
        )
    return manifest


def _checked(cache: Shelf, checks: Sequence[Check], opened: OpenVersion) -> str | None:
    """Run checks; return the version beside which they ran."""
    previous = current(cache) if checks else None
    run_checks(checks, opened, previous)
    return previous.id if previous else None


def rollback(cache: Shelf, version: str | None) -> Manifest:
    """Make an earlier version current again, also where the pointer is lost or damaged.

    Args:
        cache: Where.
        version: A published version; the one published before the current where None.

    Raises:
        NotFoundError: there is no such version.
        CorruptFileError, ObjectNotFoundError: its files aren't whole; the current version stays.
    """
    chosen: list[Manifest] = []

    def decide(pointer: Pointer | None) -> Pointer:
        pointer = _needed(cache, pointer)
        if version is not None:
            manifest = cache.manifest(_listed(cache, pointer, version))
        elif place := pointer.published.index(pointer.version):
            manifest = cache.manifest(pointer.published[place - 1])
        else:
            message = f"{cache.place} has no version before the current one, {pointer.version}."
            raise NotFoundError(message, "publish a new version; name a newer one to go forward.")
        cache.whole(manifest)
        chosen.append(manifest)
        return pointer.switched(manifest.version, time.time())

    try:
        _needed(cache, cache.read_pointer())  # before the lock, whose folder a mistyped name doesn't have
    except (CorruptFileError, NotFoundError):
        if version is None or not (there := cache.finished()):
            raise
        return _restored(cache, version, there)
    cache.change(decide)
    return chosen[-1]


def _restored(cache: Shelf, version: str, there: list[str]) -> Manifest:
    """Point to one of the versions that are there, and list all that are whole; pins are lost.

    Raises:
        NotFoundError: it isn't there.
        CorruptFileError, ObjectNotFoundError: its files aren't whole.
        CommitConflictError: somebody else was faster.
    """
    if version not in there:
        raise NotFoundError.among("version", version, cache.place, there)
    manifest = cache.manifest(version)
    cache.whole(manifest)
    whole: list[Manifest] = []
    for each in there:
        with suppress(LakeflowError):
            other = cache.manifest(each)
            cache.whole(other)
            whole.append(other)
    whole.sort(key=lambda each: each.created)
    if not cache.restore(Pointer(version, tuple(each.version for each in whole))):
        raise CommitConflictError(f"{cache.place} has a current version again.", "look which, then roll back.")
    return manifest


def pin(cache: Shelf, version: str | None, *, pinned: bool) -> Manifest:
    """Keep a version whatever is published, or do so no longer.

    Args:
        cache: Where.
        version: A published version; the current one where None.
        pinned: Whether it stays.

    Raises:
        NotFoundError: there is no such version.
    """
    chosen: list[str] = []

    def decide(pointer: Pointer | None) -> Pointer:
        pointer = _needed(cache, pointer)
        chosen.append(pointer.version if version is None else _listed(cache, pointer, version))
        others = [each for each in pointer.pinned if each != chosen[-1]]
        return dataclasses.replace(pointer, pinned=(*others, *[chosen[-1]] * pinned))

    _needed(cache, cache.read_pointer())
    cache.change(decide)
    return cache.manifest(chosen[-1])


def published(cache: Shelf) -> tuple[list[Manifest], Pointer | None]:
    """Return every published version that can be read, oldest first, and the pointer that names them.

    One whose manifest is damaged, or was written by another lakeflow, is left out: what is published next, and what
    is read, needs none of it.
    """

    def read(pointer: Pointer | None) -> tuple[list[Manifest], Pointer | None]:
        found = []
        for name in pointer.published if pointer else ():
            try:
                found.append(cache.manifest(name))
            except (CorruptFileError, UnsupportedError) as error:
                _log.warning("Version %s of %s can't be read: %s", name, cache.place, error)
            except ObjectNotFoundError as error:
                if cache.read_pointer() != pointer:
                    raise  # it was removed, and the pointer to it, too: read again
                _log.warning("Version %s of %s can't be read: %s", name, cache.place, error)
        return found, pointer

    return read_consistently(cache.read_pointer, read)


def find_run(cache: Shelf, origin: Origin) -> Manifest | None:
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


def current(cache: Shelf) -> OpenVersion | None:
    """Open the current version; None where nothing was published."""

    def read(pointer: Pointer | None) -> OpenVersion | None:
        return None if pointer is None else cache.open(cache.manifest(pointer.version))

    return read_consistently(cache.read_pointer, read)


def _needed(cache: Shelf, pointer: Pointer | None) -> Pointer:
    if pointer is None:
        raise NotFoundError(f"{cache.place} has no version yet.", "publish one with Cache.load().")
    return pointer


def _listed(cache: Shelf, pointer: Pointer, version: str) -> str:
    if version not in pointer.published:
        raise NotFoundError.among("version", version, cache.place, list(pointer.published))
    return version


def _read_back(folder: Path, version: OpenVersion, built: Built) -> None:
    """Compare counts, and read a sample back through both read paths."""
    if version.rows != built.rows:
        message = f"{folder} has {version.rows} rows of the {built.rows} it was built from."
        raise InternalError(message, "please report it; nothing was published.")
    keys = version.key.keys_of(built.sample)
    seen = version.get_many(keys)
    wrong = [name for name in built.schema.names if not _same(built.sample[name], seen[name])]
    if wrong or not all(key in version for key in version.key.values(keys)):
        message = f"A sample of {folder} doesn't read back as it was written; columns: {wrong}."
        raise InternalError(message, "please report it; nothing was published.")


def _same(expected: pa.ChunkedArray, seen: pa.ChunkedArray) -> bool:
    """Compare two columns; those with NaN by the text of their values, in which it equals itself."""
    return expected.equals(seen) or repr(expected.to_pylist()) == repr(seen.to_pylist())
