"""A scan's shards, and how to cut them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_io.iceberg.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CutShards"]


class CutShards(list[Shard]):
    """All shards of one scan.

    Args:
        shards: The shards.
        recipe: Names from which another process cuts the same ones; None where names aren't enough.
    """

    def __init__(self, shards: Iterable[Shard] = (), recipe: dict[str, Any] | None = None) -> None:
        super().__init__(shards)
        self.recipe = recipe
