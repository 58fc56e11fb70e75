"""Claims the folder of a new version for as long as it is being built, and removes folders nobody builds."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from lakeflow.cache.files.durable import exclusive, sync_folder
from lakeflow.cache.files.failures import writing
from lakeflow.cache.files.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from lakeflow.cache.files.pointer import Pointer

__all__ = ["claimed", "finished", "new_id", "sweep"]

_CLAIM_NAME = "building"


def new_id() -> str:
    """Return an id that no version has: ids sort by the second in which they were made."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


@contextmanager
def claimed(versions: Path, lock: Path, look: Callable[[], Pointer | None]) -> Generator[Path]:
    """Make a folder for a new version; remove it where the block ends without publishing it.

    The claim is a locked file in the folder. The kernel unlocks it when the builder dies, which
    tells `sweep` that the folder is abandoned.

    Args:
        versions: The folder in which it is made.
        lock: What `sweep` is called under.
        look: Says what is published.
    """
    folder = versions / new_id()
    with writing(folder):
        versions.mkdir(parents=True, exist_ok=True)
        sync_folder(versions.parent.parent)
    with exclusive(lock), writing(folder):
        folder.mkdir()
        claim = (folder / _CLAIM_NAME).open("wb")
        fcntl.flock(claim, fcntl.LOCK_EX)
    with claim:
        try:
            yield folder
        finally:
            pointer = look()
            if pointer is None or folder.name not in pointer.published:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                (folder / _CLAIM_NAME).unlink(missing_ok=True)


def sweep(versions: Path, pointer: Pointer | None) -> dict[str, int]:
    """Remove folders that aren't published and that no living process builds; the caller holds the lock.

    Args:
        versions: The folder that they are in.
        pointer: Says what is published.

    Returns:
        The folders that are gone, and the bytes of their files that no other folder has, too.
    """
    published = pointer.published if pointer else ()
    removed: dict[str, int] = {}
    for folder in list(versions.iterdir()):
        if not _abandoned(folder):
            continue
        if pointer is None and (folder / MANIFEST_NAME).exists():
            continue  # whole: the pointer to it may have been lost, and a rollback brings it back
        if folder.name in published:
            (folder / _CLAIM_NAME).unlink(missing_ok=True)  # its publisher died before it could
        else:
            freed = _own_bytes(folder)
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                removed[folder.name] = freed
    return removed


def finished(versions: Path) -> list[str]:
    """Return the versions that have a manifest and that no living process builds, sorted."""
    folders = sorted(versions.iterdir()) if versions.is_dir() else []
    return [folder.name for folder in folders if (folder / MANIFEST_NAME).exists() and _abandoned(folder)]


def _own_bytes(folder: Path) -> int:
    """Add up files without a name elsewhere; who built here may be removing them at this moment."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                file = os.stat(os.path.join(parent, name))  # noqa: PTH116,PTH118  (os.walk's are texts)
                total += file.st_size if file.st_nlink == 1 else 0
    return total


def _abandoned(folder: Path) -> bool:
    try:
        with (folder / _CLAIM_NAME).open("rb") as claim:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
