"""Shards are balanced, complete and the same each time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.iceberg.plan import Piece
from lakeflow_io.iceberg.shards import balance, group_by_partition

SPEC: Any = None  # balancing carries the spec along and never looks at it


@st.composite
def pieces(draw: st.DrawFn) -> list[Piece]:
    """Whole files of any size, some of them with row groups."""
    found = []
    for number in range(draw(st.integers(0, 30))):
        size = draw(st.integers(100, 10**9))
        cuts = draw(st.lists(st.integers(5, size - 1), max_size=8, unique=True))
        splits = (4, *sorted(cuts)) if draw(st.booleans()) else ()
        partition = f"p={draw(st.integers(0, 3))}"
        found.append(Piece(f"file-{number:03d}", size, 0, size, size // 10, partition, partition, splits))
    return found


@given(pieces(), st.integers(1, 40))
def test_every_byte_of_a_file_is_in_one_shard(files: list[Piece], n: int) -> None:
    """The ranges of each file, put side by side, are the file: none is missing, none is there twice."""
    shards = balance(SPEC, files, n)

    parts = sorted((part.path, part.start, part.end) for shard in shards for part in shard.pieces)
    for file in files:
        ranges = [(start, end) for path, start, end in parts if path == file.path]
        assert (ranges[0][0], ranges[-1][1]) == (0, file.file_size)
        assert all(one[1] == other[0] for one, other in pairwise(ranges))


@given(pieces(), st.integers(1, 40))
def test_a_file_is_cut_between_row_groups_only(files: list[Piece], n: int) -> None:
    """Every inner edge is a split offset that the manifest gave."""
    known = {file.path: {0, file.file_size, *file.splits} for file in files}

    shards = balance(SPEC, files, n)

    assert all({part.start, part.end} <= known[part.path] for shard in shards for part in shard.pieces)


@given(pieces(), st.integers(1, 40), st.randoms(use_true_random=False))
def test_shards_do_not_depend_on_the_order_of_files(files: list[Piece], n: int, random: Any) -> None:
    """The same files in another order are cut into the same shards: a run's plan can be compared."""
    shuffled = list(files)
    random.shuffle(shuffled)

    assert balance(SPEC, files, n) == balance(SPEC, shuffled, n)


@given(pieces(), st.integers(1, 40))
def test_no_shard_is_empty_and_none_too_many(files: list[Piece], n: int) -> None:
    """At most `n` shards, numbered from 0; fewer only where there is less to share out."""
    shards = balance(SPEC, files, n)

    assert list(range(len(shards))) == [shard.index for shard in shards]
    assert all(shard.pieces for shard in shards)
    assert min(n, len(files)) <= len(shards) <= n


@given(st.lists(st.integers(1, 1000), min_size=200, max_size=400), st.integers(2, 16))
def test_many_small_files_are_shared_evenly(sizes: list[int], n: int) -> None:
    """The heaviest shard is above the mean by less than one file: Graham's bound."""
    files = [Piece(f"file-{number:04d}", size, 0, size, 1, "", "") for number, size in enumerate(sizes)]

    loads = [shard.bytes for shard in balance(SPEC, files, n)]

    assert len(loads) == n
    assert max(loads) <= sum(sizes) / n + max(sizes)


def test_one_large_file_is_spread_by_its_row_groups() -> None:
    """A file of ten equal row groups becomes five shards of two."""
    file = Piece("file", 1000, 0, 1000, 100, "", "", tuple(range(0, 1000, 100)))

    shards = balance(SPEC, [file], 5)

    assert [shard.bytes for shard in shards] == [200] * 5
    assert [shard.rows for shard in shards] == [20] * 5


@given(pieces())
def test_a_partition_is_one_shard(files: list[Piece]) -> None:
    """By partition, a shard holds all files of one partition and no other's."""
    shards = group_by_partition(SPEC, files)

    assert sorted({file.partition for file in files}) == [shard.partition for shard in shards]
    assert sorted(file.path for file in files) == sorted(part.path for shard in shards for part in shard.pieces)


def test_a_shard_is_named_by_its_number() -> None:
    """The id names markers and files, and sorts as the numbers do."""
    shards = balance(SPEC, [Piece(f"f{n:02d}", 10, 0, 10, 1, "", "") for n in range(12)], 12)

    assert [f"shard-{n:05d}" for n in range(12)] == [shard.id for shard in shards]
