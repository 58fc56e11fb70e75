"""`CURRENT`: the one file that decides what readers see, replaced in one step.

It names the current version and every published one, oldest first, with what decides how long each
stays. A folder that it doesn't list is no version, complete or not: so a build that was killed at any
moment has published nothing, and one replacement of this file both publishes a version and retires an
old one.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from lakeflow.cache import durable
from lakeflow.cache.failures import reading
from lakeflow_io.errors import ObjectNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["Pointer", "Stamp", "read_consistently", "read_pointer", "stamp_of", "write_pointer"]

_FORMAT = 1

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and inode: another stamp is another pointer."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What `CURRENT` says."""

    version: str
    published: tuple[str, ...]
    """Every version that can be read, oldest first; the current one is among them."""
    pinned: tuple[str, ...] = ()
    """Those that stay until they are unpinned."""
    left: dict[str, float] = field(default_factory=dict[str, float])
    """When a version stopped being the current one, in seconds since 1970."""
    stamp: Stamp = (0, 0)
    """Of the file that was read."""

    def switched(self, version: str, now: float) -> Pointer:
        """Return a pointer to another version, which is listed as the newest where it is new."""
        if version == self.version:
            return self
        left = {**self.left, self.version: now}
        left.pop(version, None)
        published = self.published if version in self.published else (*self.published, version)
        return replace(self, version=version, published=published, left=left)

    def only(self, kept: Iterable[str]) -> Pointer:
        """Return a pointer that lists some of its versions, the current one among them."""
        stay = {*kept, self.version}
        published = tuple(version for version in self.published if version in stay)
        pinned = tuple(version for version in self.pinned if version in stay)
        left = {version: moment for version, moment in self.left.items() if version in stay}
        return replace(self, published=published, pinned=pinned, left=left)


def stamp_of(stat: os.stat_result) -> Stamp:
    """Return what tells one pointer from the next."""
    return (stat.st_mtime_ns, stat.st_ino)


def read_pointer(path: Path) -> Pointer | None:
    """Read the pointer; None where nothing was ever published.

    Raises:
        CorruptFileError: it can't be decoded.
        UnsupportedError: another version of lakeflow wrote it.
    """
    try:
        with reading(path), path.open("rb") as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            content = json.loads(file.read())
            if content["format"] != _FORMAT:
                message = f"{path} has format {content['format']}; this version of lakeflow reads {_FORMAT}."
                raise UnsupportedError(message, "upgrade lakeflow.")
            return Pointer(
                content["version"],
                tuple(content["published"]),
                tuple(content.get("pinned", ())),
                dict(content.get("left", {})),
                stamp,
            )
    except ObjectNotFoundError:
        return None


def write_pointer(path: Path, pointer: Pointer) -> None:
    """Replace the pointer; the caller holds the cache's lock.

    Its modification time grows with every replacement, even within one tick of the file system's
    clock, so that a reader's stamp never matches a later pointer.
    """
    old = read_pointer(path)
    mtime_ns = max(time.time_ns(), old.stamp[0] + 1 if old else 0)
    content = {
        "format": _FORMAT,
        "version": pointer.version,
        "published": pointer.published,
        "pinned": pointer.pinned,
        "left": pointer.left,
    }
    durable.replace(path, json.dumps(content).encode() + b"\n", mtime_ns=mtime_ns)


def read_consistently(path: Path, read: Callable[[Pointer | None], _Result]) -> _Result:
    """Call `read` with the pointer, again where a publish removed what it names meanwhile."""
    while True:
        pointer = read_pointer(path)
        try:
            return read(pointer)
        except ObjectNotFoundError:
            if read_pointer(path) == pointer:
                raise
