"""Objects that lie elsewhere than metadata says: a table that was moved, or whose paths are relative.

Paths stay what they are everywhere else, since metadata refers to them: a position delete names its
data file by the path that it had when it was written. Only who asks a store learns where it is now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.location import is_uri, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lakeflow_io.storage.transport import ObjectInfo, Transport
    from lakeflow_io.storage.upload import Upload

__all__ = ["RELOCATE", "RelocatedTransport", "Relocation"]

RELOCATE = "lakeflow.relocate"
"""The storage property that describes a relocation."""


@dataclass(frozen=True, slots=True)
class Relocation:
    """From a path in metadata to where the object is."""

    prefixes: tuple[tuple[str, str], ...]
    """Old and new folders; the longest that fits is taken."""
    base: str
    """The folder that relative paths start in."""

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Relocation | None:
        """What the storage properties say; None where all is in its place.

        Raises:
            ConfigError: the property is garbled.
        """
        text = properties.get(RELOCATE)
        if text is None:
            return None
        try:
            found = json.loads(text)
            return cls(tuple((str(old), str(new)) for old, new in found["prefixes"]), str(found["base"]))
        except (ValueError, TypeError, KeyError):
            raise ConfigError(f"{RELOCATE} is garbled.", "leave it to open_table(relocate=...).") from None

    @property
    def property(self) -> dict[str, str]:
        """The same as a storage property, which travels to workers."""
        return {RELOCATE: json.dumps({"prefixes": self.prefixes, "base": self.base})}

    def __call__(self, path: str) -> str:
        """Where the object that metadata calls `path` is."""
        for old, new in sorted(self.prefixes, key=lambda pair: -len(pair[0])):
            folder = old.rstrip("/")
            if path == folder or path.startswith(folder + "/"):
                path = new.rstrip("/") + path[len(folder) :]
                break
        return path if is_uri(path) or path.startswith("/") else join(self.base, path)


class RelocatedTransport:
    """A transport that is asked for objects by the paths they had.

    Args:
        inner: Where they are now.
        where: Old path to new.
    """

    def __init__(self, inner: Transport, where: Relocation) -> None:
        self._inner, self._where = inner, where

    def get(self, uri: str) -> memoryview:
        """As `Transport.get`."""
        return self._inner.get(self._where(uri))

    def get_if_changed(self, uri: str, tag: str | None = None) -> tuple[memoryview, str] | None:
        """As `Transport.get_if_changed`."""
        return self._inner.get_if_changed(self._where(uri), tag)

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """As `Transport.get_range`."""
        return self._inner.get_range(self._where(uri), start, length)

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """As `Transport.get_range_async`."""
        return await self._inner.get_range_async(self._where(uri), start, length, on_first_byte)

    async def get_suffix_async(self, uri: str, length: int) -> tuple[memoryview, int]:
        """As `Transport.get_suffix_async`."""
        return await self._inner.get_suffix_async(self._where(uri), length)

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """As `Transport.put`."""
        self._inner.put(self._where(uri), data)

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """As `Transport.put_if_absent`."""
        return self._inner.put_if_absent(self._where(uri), data)

    def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
        """As `Transport.put_if_unchanged`."""
        return self._inner.put_if_unchanged(self._where(uri), data, tag)

    def open_output(self, uri: str) -> Upload:
        """As `Transport.open_output`."""
        return self._inner.open_output(self._where(uri))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """As `Transport.list`; what is found has its new name."""
        return self._inner.list(self._where(prefix))

    def folders(self, prefix: str) -> Iterator[str]:
        """As `Transport.folders`."""
        return self._inner.folders(self._where(prefix))

    def delete(self, uri: str) -> None:
        """As `Transport.delete`."""
        self._inner.delete(self._where(uri))
