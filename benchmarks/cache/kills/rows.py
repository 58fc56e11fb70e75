"""What is published: rows that tell their version, so that any answer can be judged by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks.cache.torn import tagged
from lakeflow.cache.keys.hashing import hash_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CHANGED",
    "IDS",
    "KINDS",
    "NAME",
    "PARTS",
    "SEGMENT_BYTES",
    "SHARD_ROWS",
    "kind_of",
    "part_of",
    "run_id",
    "version_rows",
    "wrong",
]

NAME = "killed"
PARTS = 8
"""Tasks of a run."""
SHARD_ROWS = 2_500
"""Of the cache's, so that a version has several: it takes longer to merge, and updates share some."""
SEGMENT_BYTES = 100_000
"""Of every second load, which goes through segments."""
KINDS = ("load", "foreach", "update", "foreach")
"""How versions are published, in turn. A version that is an update has the rows of the one before, but for a few."""
IDS = np.arange(8 * SHARD_ROWS)
_BY_HASH = IDS[np.argsort(hash_keys(pa.array(IDS)))]
CHANGED = 3
"""Ids below this are changed by updates, so that most shards stay."""


def kind_of(number: int) -> str:
    """How a version is published; version 0 isn't an update."""
    return KINDS[number % len(KINDS)]


def run_id(number: int) -> str:
    """The run that publishes a version."""
    return f"kills-{number}"


def version_rows(ids: NDArray[np.int64], number: int) -> pa.Table:
    """Rows as a version has them: after an update, most are of the version before."""
    return tagged(ids, np.where(ids < CHANGED, number, number - 1) if kind_of(number) == "update" else number)


def part_of(number: int, part: int) -> pa.Table:
    """What a task of a run returns: every eighth id, for segments that are merged; or a range of hashes, for shards."""
    by_hash = number % len(KINDS) == len(KINDS) - 1
    return version_rows(np.array_split(_BY_HASH, PARTS)[part] if by_hash else IDS[part::PARTS], number)


def wrong(ids: NDArray[np.int64], rows: pa.Table) -> tuple[int, int]:
    """Judge an answer.

    Args:
        ids: What was asked for; the first one is 0, whose row tells the version.
        rows: What came.

    Returns:
        How many rows aren't that version's, and its number.
    """
    versions, checksums = (rows[name].fill_null(0).to_numpy() for name in ("version", "checksum"))
    number = int(versions[0])
    right = version_rows(ids, number)
    same = (versions == right["version"].to_numpy()) & (checksums == right["checksum"].to_numpy())
    return int((~(same & rows["found"].to_numpy())).sum()), number
