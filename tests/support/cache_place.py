"""Where a test's cache lies, and the machines that read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Place"]


@dataclass
class Place:
    """A root without caches, and folders for copies as several machines have them."""

    root: str
    storage: dict[str, str]
    machines: Path

    def cache(self, machine: str = "here", **options: Any) -> Cache:
        """The cache `scores` as a process on a machine has it."""
        storage = {**self.storage, "lakeflow.shard-cache.folder": str(self.machines / machine)}
        defaults: dict[str, Any] = {"refresh": 0.0}
        return Cache("scores", self.root, storage=storage, **{**defaults, **options})

    def objects(self) -> dict[str, int]:
        """Names and sizes of the cache's objects."""
        shelf = self.cache()._shelf
        return {each.uri.removeprefix(shelf.uri + "/"): each.size for each in shelf.transport.list(shelf.uri)}  # type: ignore[attr-defined]
