"""Removes objects that no version needs and no builder is about to publish.

What is needed is what the manifests of published versions name, wherever it lies: versions share files. A builder
that lost its claim, or a publisher that put the pointer on its way and never heard of it, may still be about to
publish. So before anything is deleted the pointer is replaced by one that says the same: whatever they based on the
old one fails then, and tells them to look again (see `lease.py`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lakeflow.cache.files.manifest import MANIFEST_NAME
from lakeflow.cache.remote.lease import is_live
from lakeflow_io.errors import NotFoundError, ObjectNotFoundError

if TYPE_CHECKING:
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.remote.shelf import ObjectShelf

__all__ = ["finished", "sweep"]

_AT_ONCE = 16


def sweep(shelf: ObjectShelf) -> dict[str, int]:
    """See `Shelf.sweep`."""
    while True:
        pointer = shelf.read_pointer()
        if pointer is None:
            raise NotFoundError(f"{shelf.place} has no version yet.", "check the name and the URL.")
        try:
            doomed = _doomed(shelf, pointer)
        except ObjectNotFoundError:
            if shelf.read_pointer() == pointer:
                raise
            continue  # a manifest went with its version, meanwhile
        if not doomed:
            return {}
        if shelf.replace(pointer, pointer):
            break
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(shelf.transport.delete, [uri for _, uri, _ in doomed]))
    removed: dict[str, int] = {}
    for version, _, size in doomed:
        removed[version] = removed.get(version, 0) + size
    return removed


def finished(shelf: ObjectShelf) -> list[str]:
    """See `Shelf.finished`."""
    ending = f"/{MANIFEST_NAME}"
    uris = [each.uri for each in shelf.transport.list(shelf.versions) if each.uri.endswith(ending)]
    return sorted({uri.removesuffix(ending).rpartition("/")[2] for uri in uris} - _live(shelf))


def _doomed(shelf: ObjectShelf, pointer: Pointer) -> list[tuple[str, str, int]]:
    """Return version, URI and size of objects that can go. They are listed before claims are looked at."""
    listed = list(shelf.transport.list(shelf.versions))
    needed = {uri for version in pointer.published for uri in shelf.objects(shelf.manifest(version))}
    spare = [(each.uri.removeprefix(shelf.versions + "/").partition("/")[0], each) for each in listed]
    live = _live(shelf)
    return [(version, each.uri, each.size) for version, each in spare if each.uri not in needed and version not in live]


def _live(shelf: ObjectShelf) -> set[str]:
    """Return the versions that somebody may be building; claims that ran out go."""
    live: set[str] = set()
    for each in shelf.transport.list(shelf.claim("")):
        if is_live(shelf.transport, each.uri):
            live.add(each.uri.rpartition("/")[2])
        else:
            shelf.transport.delete(each.uri)
    return live
