"""Shards are balanced, complete and the same each time."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.shards import least_possible, row_group_sizes, zipf_files
from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.plan import Piece
from lakeflow_io.iceberg.shards import Shard, balance, group_by_partition

SPEC: Any = None  # balancing carries the spec along and never looks at it
MB = 1_000_000


@st.composite
def pieces(draw: st.DrawFn) -> list[Piece]:
    """Whole files of any size, some of them with row groups, some of these with rows of each."""
    found = []
    for number in range(draw(st.integers(0, 30))):
        size = draw(st.integers(100, 10**9))
        cuts = draw(st.lists(st.integers(5, size - 1), max_size=8, unique=True))
        splits = (4, *sorted(cuts)) if draw(st.booleans()) else ()
        rows = draw(st.lists(st.integers(0, 1000), min_size=len(splits), max_size=len(splits)))
        told = tuple(rows) if draw(st.booleans()) else ()
        count = sum(told) if told else draw(st.sampled_from([0, 3, size // 10, size]))
        partition = f"p={draw(st.integers(0, 3))}"
        found.append(Piece(f"file-{number:03d}", size, 0, size, count, partition, partition, splits, told))
    return found


BY = st.sampled_from(["bytes", "rows"])


@given(pieces(), st.integers(1, 40), BY)
def test_every_byte_of_a_file_is_in_one_shard(files: list[Piece], n: int, by: Any) -> None:
    """The ranges of each file, put side by side, are the file; so are rows, and positions count them."""
    shards = balance(SPEC, files, n, by)

    parts = [part for shard in shards for part in shard.pieces]
    for file in files:
        own = sorted((part for part in parts if part.path == file.path), key=lambda part: part.start)
        assert (own[0].start, own[-1].end) == (0, file.file_size)
        assert all(one.end == other.start for one, other in pairwise(own))
        assert sum(part.rows for part in own) == file.rows
        assert own[0].first_row == 0
        if file.split_rows:
            assert [part.first_row for part in own[1:]] == [one.first_row + one.rows for one in own[:-1]]
        else:
            assert {part.first_row for part in own[1:]} <= {None}


@given(pieces(), st.integers(1, 40), BY)
def test_a_file_is_cut_between_row_groups_only(files: list[Piece], n: int, by: Any) -> None:
    """Every inner edge is a split offset that the manifest gave."""
    known = {file.path: {0, file.file_size, *file.splits} for file in files}

    shards = balance(SPEC, files, n, by)

    assert all({part.start, part.end} <= known[part.path] for shard in shards for part in shard.pieces)


@given(pieces(), st.integers(1, 40), BY, st.randoms(use_true_random=False))
def test_shards_do_not_depend_on_the_order_of_files(files: list[Piece], n: int, by: Any, random: Any) -> None:
    """The same files in another order are cut into the same shards: a run's plan can be compared."""
    shuffled = list(files)
    random.shuffle(shuffled)

    assert balance(SPEC, files, n, by) == balance(SPEC, shuffled, n, by)


@given(pieces(), st.integers(1, 40), BY)
def test_no_shard_is_empty_and_none_too_many(files: list[Piece], n: int, by: Any) -> None:
    """As many as there are row groups, `n` at most, numbered from 0."""
    groups = sum(max(1, len(file.splits)) for file in files)

    shards = balance(SPEC, files, n, by)

    assert list(range(len(shards))) == [shard.index for shard in shards]
    assert all(shard.pieces for shard in shards)
    assert len(shards) == min(n, groups)


@given(pieces(), st.integers(1, 40))
def test_no_shard_has_more_than_the_mean_and_the_largest_row_group(files: list[Piece], n: int) -> None:
    """The bound, in bytes."""
    loads = [shard.bytes for shard in balance(SPEC, files, n)]

    largest = [max(b - a for a, b in pairwise([0, *file.splits[1:], file.end])) for file in files]
    assert not loads or max(loads) <= sum(loads) / len(loads) + max(largest)


@given(pieces(), st.integers(1, 40))
def test_no_shard_has_more_rows_than_the_mean_and_the_largest_row_group(files: list[Piece], n: int) -> None:
    """The bound, in rows, of which a row group counts one at least."""
    shards = balance(SPEC, files, n, "rows")

    every = [shard for file in files for shard in balance(SPEC, [file], 100, "rows")]
    rows = [max(1, group.rows) for group in every]
    # What is estimated may be off by one where it was rounded.
    slack = 1 + sum(1 for group in every if group.rows == 0)
    if shards:
        assert max(shard.rows for shard in shards) <= sum(rows) / len(shards) + max(rows) + slack


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.4])
def test_files_of_very_different_sizes_are_even_for_any_n(exponent: float) -> None:
    """A tenth above the mean at most, up to a thousand shards of row groups a tenth of that size."""
    files = zipf_files(exponent, 16 * MB, files=500, total=200_000 * MB)

    for n in (2, 3, 5, 10, 31, 100, 250, 500, 777, 1000):
        loads = [shard.bytes for shard in balance(SPEC, files, n)]
        assert (len(loads), max(loads) * n / sum(loads)) <= (n, 1.10)


def test_coarse_row_groups_are_as_even_as_they_can_be() -> None:
    """Where row groups don't allow for it: near to what is possible at all."""
    files = zipf_files(1.0, 128 * MB, files=500, total=200_000 * MB)

    for n in (100, 500, 1000, 1500):
        heaviest = max(shard.bytes for shard in balance(SPEC, files, n))
        assert heaviest <= 1.15 * least_possible(row_group_sizes(files), n)


def test_one_large_file_is_spread_by_its_row_groups() -> None:
    """A file of ten equal row groups becomes five shards of two."""
    file = Piece("file", 1000, 0, 1000, 100, "", "", tuple(range(0, 1000, 100)))

    shards = balance(SPEC, [file], 5)

    assert [shard.bytes for shard in shards] == [200] * 5
    assert [shard.rows for shard in shards] == [20] * 5


def test_rows_are_balanced_where_bytes_say_something_else() -> None:
    """Wide rows in one file, narrow ones in another: each way balances what it says."""
    files = [
        Piece("narrow", 1000, 0, 1000, 900, "", "", tuple(range(0, 1000, 10))),
        Piece("wide", 1000, 0, 1000, 100, "", "", tuple(range(0, 1000, 10))),
    ]

    assert [shard.bytes for shard in balance(SPEC, files, 4)] == [500] * 4
    assert [shard.rows for shard in balance(SPEC, files, 4, "rows")] == [250] * 4


def test_a_shard_can_be_cut_again() -> None:
    """Parts of a file are what shards are made of, too: their edges, rows and positions stay those of the file."""
    file = Piece("file", 1000, 0, 1000, 55, "", "", tuple(range(0, 1000, 100)), tuple(range(1, 11)))
    half = balance(SPEC, [file], 2)[1]

    again = balance(SPEC, half.pieces, 5)

    parts = [(part.start, part.end, part.rows, part.first_row) for shard in again for part in shard.pieces]
    assert (half.pieces[0].start, half.pieces[0].first_row, half.rows) == (500, 15, 40)
    assert parts == [
        (500, 600, 6, 15), (600, 700, 7, 21), (700, 800, 8, 28), (800, 900, 9, 36), (900, 1000, 10, 45),
    ]  # fmt: skip


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


@given(pieces(), st.integers(1, 40))
def test_shards_come_back_from_a_pickle(files: list[Piece], n: int) -> None:
    """All together and each alone."""
    shards = balance(SPEC, files, n)

    assert pickle.loads(pickle.dumps(shards)) == shards
    assert [pickle.loads(pickle.dumps(shard)) for shard in shards] == shards


def test_what_shards_share_is_pickled_once() -> None:
    """Neither how to read nor delete files are there for each: a shard more takes a few dozen bytes and its path."""
    spec: Any = "how to read" * 10_000
    deletes = tuple(DeleteFile("equality", f"s3://b/{n:040d}", 1000, n) for n in range(1000))
    files = [Piece(f"s3://bucket/{n:08d}", 10, 0, 10, 1, "p=1", "0:[1]", (4,), deletes=deletes) for n in range(2000)]

    few, many = (len(pickle.dumps(balance(spec, files[:count], count))) for count in (1000, 2000))

    assert (many - few) / 1000 < 100
    assert isinstance(pickle.loads(pickle.dumps(balance(spec, files, 2000)[7])), Shard)
