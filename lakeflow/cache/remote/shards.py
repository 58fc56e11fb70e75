"""The shards of a version, each fetched whole and mapped when it is first asked for.

A shard is 256 MiB at most, so fetching one takes a second or two. A single key could be answered by ranged reads,
of the index and of each column's buffers: that is some twenty requests one after the other for a string key, about
as long, and again for the next key. So there is one way to read.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from lakeflow.cache.files.shard import open_shard
from lakeflow_io.errors import ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from lakeflow.cache.files.manifest import ShardFacts
    from lakeflow.cache.files.shard import Shard
    from lakeflow.cache.keys.column import KeyColumn

__all__ = ["ObjectShards"]


class ObjectShards:
    """See `Shards`.

    Args:
        facts: Of all shards.
        home: Brings a shard's files into a local folder.
        key: The cache's key.
    """

    def __init__(self, facts: Sequence[ShardFacts], home: Callable[[ShardFacts], Path], key: KeyColumn) -> None:
        self._facts, self._home, self._key = facts, home, key
        self._mapped: list[Shard | None] = [None] * len(facts)
        self._mapping = [Lock() for _ in facts]
        """One for each shard: what looks keys up has addresses in a mapping, so all threads need the same one."""

    def __getitem__(self, number: int) -> Shard:
        """Map a shard, once."""
        shard = self._mapped[number]
        if shard is None:
            with self._mapping[number]:
                shard = self._mapped[number]
                if shard is None:
                    shard = self._mapped[number] = self._map(self._facts[number])
        return shard

    def __len__(self) -> int:
        return len(self._facts)

    def __iter__(self) -> Iterator[Shard]:
        return (self[number] for number in range(len(self)))

    def follow(self, before: ObjectShards) -> None:
        """Map those whose range of hashes has keys of what is mapped of another version."""
        spans = [
            (facts.bucket, facts.first_hash, facts.last_hash)
            for facts, shard in zip(before._facts, before._mapped, strict=True)
            if shard is not None
        ]
        for number, facts in enumerate(self._facts):
            if any(
                (bucket == facts.bucket or None in (bucket, facts.bucket))
                and first <= facts.last_hash
                and facts.first_hash <= last
                for bucket, first, last in spans
            ):
                self[number]

    def _map(self, facts: ShardFacts) -> Shard:
        try:
            return open_shard(self._home(facts), facts, self._key)
        except ObjectNotFoundError:  # another process made room between the two steps
            return open_shard(self._home(facts), facts, self._key)
