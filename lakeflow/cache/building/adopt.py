"""Segments that become shards by a second name of their files, a hard link, and aren't written again.

They have a shard's form. One that has its range of key hashes to itself can be a shard: that of a single task, those of
one large table, and those of a table that was split by key hash.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lakeflow.cache.files.durable import link
from lakeflow.cache.files.ranges import ALL_HASHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lakeflow.cache.files.manifest import ShardFacts

__all__ = ["linked", "spans"]


def spans(
    hashes: Sequence[NDArray[np.uint64]], usable: Callable[[int], bool], large: Callable[[int], bool], few: int
) -> Iterator[tuple[int, int, int | None]]:
    """Cut all hashes into ranges of one segment that becomes a shard, and of what has to be merged, between them.

    Args:
        hashes: Of each segment, ascending.
        usable: Whether the segment of a number can be a shard.
        large: Whether it should be one, however many there are.
        few: How many should be, however large they are.

    Yields:
        For each range [least, end), ascending, the number of the one segment in it that becomes a shard, or None. The
        first begins at 0; each ends where the next one begins, the last one with the hashes.
    """
    firsts: list[int] = []
    groups: list[list[int]] = []
    reached = -1
    for number in sorted((n for n, each in enumerate(hashes) if len(each)), key=lambda n: int(hashes[n][0])):
        first, last = int(hashes[number][0]), int(hashes[number][-1])
        if first <= reached:  # rows of one hash lie in one shard
            groups[-1].append(number)
        else:
            firsts.append(first)
            groups.append([number])
        reached = max(reached, last)
    alone = [numbers[0] if len(numbers) == 1 and usable(numbers[0]) else None for numbers in groups]
    if sum(number is not None for number in alone) > few:
        alone = [number if number is not None and large(number) else None for number in alone]
    starts = [k for k, number in enumerate(alone) if k == 0 or number is not None or alone[k - 1] is not None]
    bounds = [0, *(firsts[k] for k in starts[1:]), ALL_HASHES]
    for place, k in enumerate(starts):
        yield bounds[place], bounds[place + 1], alone[k]


def linked(home: Path, shard: ShardFacts, folder: Path, number: int) -> ShardFacts:
    """Give a shard's files in the folder `home` a second name in another one, as its shard with this number.

    Raises:
        ObjectNotFoundError: a file is gone.
        StoreError: as `failures.writing` says.
    """
    renamed = [replace(file, name=f"shard-{number:04d}.{file.name.rpartition('.')[2]}") for file in shard.files]
    for file, new in zip(shard.files, renamed, strict=True):
        link(home / file.name, folder / new.name)
    return shard.with_files(*renamed)
