"""How large a cache is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakeflow.cache.files.layout import Layout
    from lakeflow.cache.reading.version import CacheVersion

__all__ = ["CacheStats", "disk_bytes"]


@dataclass(frozen=True, slots=True)
class CacheStats:
    """A cache and the version that is read."""

    version: CacheVersion
    layout: Layout
    key: str
    """The key columns, with commas between."""
    columns: int
    shards: int
    versions: int
    """Published ones."""
    disk_bytes: int
    """Of all files in the cache's folder, also of builds and runs under way."""


def disk_bytes(folder: Path) -> int:
    """Add up files, each once, whatever number of names it has; those that vanish meanwhile are left out."""
    sizes: dict[int, int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = (Path(parent) / name).stat()
            except FileNotFoundError:
                continue
            sizes[found.st_ino] = found.st_size
    return sum(sizes.values())
