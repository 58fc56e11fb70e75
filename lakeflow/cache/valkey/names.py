"""How all keys of a cache in a server are named."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Names"]


@dataclass(frozen=True, slots=True)
class Names:
    """The keys of one cache in a server; a cache's name has no brace and no pattern character in it."""

    cache: str

    @property
    def all(self) -> bytes:
        """How every key begins."""
        return f"lakeflow:{{{self.cache}}}:".encode()

    @property
    def pointer(self) -> bytes:
        """The key of the pointer."""
        return self.all + b"CURRENT"

    @property
    def lock(self) -> bytes:
        """The key that whoever pushes holds."""
        return self.all + b"PUSH"

    def version(self, version: str) -> bytes:
        """How the key of every row of a version begins."""
        return self.all + version.encode() + b":"
