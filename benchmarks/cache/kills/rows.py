"""What is published: rows that tell their version, so that any answer can be judged by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cache.torn import tagged

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = [
    "CHANGED",
    "IDS",
    "KINDS",
    "NAME",
    "PARTS",
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
KINDS = ("load", "foreach", "update", "foreach")
"""How versions are published, in turn. A version that is an update has the rows of the one before, but for a few."""
IDS = np.arange(8 * SHARD_ROWS)
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
    """What one task of a run returns."""
    return version_rows(IDS[part::PARTS], number)


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
