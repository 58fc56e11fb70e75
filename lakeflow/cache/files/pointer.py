"""`CURRENT`: the one file that decides what readers see, replaced in one step.

It names the current version and every published one, oldest first, with what decides how long each
stays. A folder that it doesn't list is no version, complete or not: so a build that was killed at any
moment has published nothing, and one replacement of this file both publishes a version and retires an
old one.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from lakeflow.cache.files import durable
from lakeflow.cache.files.failures import reading
from lakeflow.cache.files.turns import TURNS_NAME, turning
from lakeflow_io.errors import ObjectNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["Pointer", "Stamp", "read_consistently", "read_pointer", "write_pointer"]

_FORMAT = 1

Stamp = tuple[int, int] | str
"""A file's modification time in nanoseconds, and inode; an object's tag. Another stamp is another pointer."""

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
    stamp: Stamp | None = None
    """Of what was read."""

    @classmethod
    def parse(cls, data: bytes | memoryview, where: Path | str, stamp: Stamp) -> Pointer:
        """Decode a pointer.

        Args:
            data: Its bytes.
            where: What they were read from.
            stamp: What tells it from others there.

        Raises:
            CorruptFileError: it can't be decoded.
            UnsupportedError: another version of lakeflow wrote it.
        """
        with reading(where):
            content = json.loads(str(data, "utf-8"))
            if content["format"] != _FORMAT:
                message = f"{where} has format {content['format']}; this version of lakeflow reads {_FORMAT}."
                raise UnsupportedError(message, "upgrade lakeflow.")
            return cls(
                content["version"],
                tuple(content["published"]),
                tuple(content.get("pinned", ())),
                dict(content.get("left", {})),
                stamp,
            )

    def to_json(self, **more: str) -> bytes:
        """Return one line of JSON; `more` is in it, and nobody reads it."""
        content = {
            "format": _FORMAT,
            "version": self.version,
            "published": self.published,
            "pinned": self.pinned,
            "left": self.left,
            **more,
        }
        return json.dumps(content).encode() + b"\n"

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


def read_pointer(path: Path) -> Pointer | None:
    """Read the pointer; None where nothing was ever published.

    Raises:
        CorruptFileError, UnsupportedError: as `Pointer.parse`.
    """
    try:
        with reading(path):
            content, found = durable.read_small(path)
        return Pointer.parse(content, path, (found.st_mtime_ns, found.st_ino))
    except ObjectNotFoundError:
        return None


def write_pointer(path: Path, pointer: Pointer) -> None:
    """Replace the pointer; the caller holds the cache's lock.

    Its modification time grows with every replacement, even within one tick of the file system's
    clock, so that a reader's stamp never matches a later pointer.
    """
    with reading(path.parent):
        mtime_ns = max(time.time_ns(), path.stat().st_mtime_ns + 1 if path.exists() else 0)
    with turning(path.with_name(TURNS_NAME)):
        durable.replace(path, pointer.to_json(), mtime_ns=mtime_ns)


def read_consistently(look: Callable[[], Pointer | None], read: Callable[[Pointer | None], _Result]) -> _Result:
    """Call `read` with the pointer that `look` finds, again where a publish removed what it names meanwhile."""
    while True:
        pointer = look()
        try:
            return read(pointer)
        except ObjectNotFoundError:
            if look() == pointer:
                raise
