"""Row groups are shared out evenly, completely, and with few files in more than one bin."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from lakeflow_io.iceberg.packing import Run, pack

WEIGHTS = st.one_of(st.integers(1, 20), st.integers(1, 10**6))
FILES = st.lists(st.lists(WEIGHTS, min_size=1, max_size=12), min_size=1, max_size=25)
BINS = st.one_of(st.integers(1, 12), st.integers(1, 300))
FEW = st.tuples(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=9), min_size=1, max_size=3), st.integers(1, 9)
)
"""About as many bins as row groups of about one weight: where something is left for each, just so."""


def packed(files: list[list[int]], n: int) -> list[list[Run]]:
    """Row groups by their own weights."""
    return pack([[0, *accumulate(weights)] for weights in files], n)


def loads(files: list[list[int]], bins: list[list[Run]]) -> list[int]:
    """What each bin weighs."""
    return [sum(sum(files[run.file][run.first : run.behind]) for run in runs) for runs in bins]


@example([[10], [5], [3, 3]], 2)
@given(FILES, BINS)
def test_each_row_group_is_in_one_bin(files: list[list[int]], n: int) -> None:
    """None is missing, none is there twice, and what touches is one run."""
    bins = packed(files, n)

    found = sorted(run for runs in bins for run in runs)
    groups = [(run.file, index) for run in found for index in range(run.first, run.behind)]
    assert groups == [(file, index) for file, weights in enumerate(files) for index in range(len(weights))]
    for runs in bins:
        assert all(one.file != other.file or one.behind < other.first for one, other in pairwise(runs))


@example(([[1] * 5], 4))
@given(st.one_of(st.tuples(FILES, BINS), FEW))
def test_no_bin_is_empty(drawn: tuple[list[list[int]], int]) -> None:
    """As many as were asked for, or as there are row groups."""
    files, n = drawn

    bins = packed(files, n)

    assert len(bins) == min(n, sum(map(len, files)))
    assert all(bins)


@given(st.one_of(st.tuples(FILES, BINS), FEW))
def test_no_bin_is_above_the_mean_and_the_largest_row_group(drawn: tuple[list[list[int]], int]) -> None:
    """The bound that is promised, of the mean over the bins that there are."""
    files, n = drawn

    bins = packed(files, n)

    found = loads(files, bins)
    assert max(found) <= sum(found) / len(bins) + max(max(weights) for weights in files)


@given(FILES, st.integers(2, 40), st.integers(1, 50))
def test_what_is_heavier_than_a_bin_leaves_the_others_even(files: list[list[int]], n: int, factor: int) -> None:
    """A row group of many times the rest is a bin; the bound holds for what is left, with its own mean."""
    giant = factor * sum(map(sum, files))

    bins = packed([*files, [giant]], n)

    assert [Run(len(files), 0, 1)] in bins
    rest = [load for load in loads([*files, [giant]], bins) if load != giant]
    if rest:
        assert max(rest) <= sum(rest) / len(rest) + max(max(weights) for weights in files)


@given(st.lists(WEIGHTS, min_size=1, max_size=60), st.integers(1, 20))
def test_whole_files_are_packed_largest_first(weights: list[int], n: int) -> None:
    """What can't be cut is packed as by the textbook's rule: the largest into the lightest bin."""
    n = min(n, len(weights))
    by_hand = [0] * n
    for weight in sorted(weights, reverse=True):
        by_hand[by_hand.index(min(by_hand))] += weight

    found = loads([[each] for each in weights], packed([[each] for each in weights], n))

    assert sorted(found) == sorted(by_hand)


@given(FILES, BINS)
def test_few_files_are_in_more_than_one_bin(files: list[list[int]], n: int) -> None:
    """Small row groups of one size: a bin is filled by a cut once, and by one more where it ends."""
    alike = [[7] * len(weights) for weights in files]

    bins = packed(alike, n)

    assert sum(map(len, bins)) <= len(alike) + 2 * len(bins)


def test_cuts_fill_what_coarser_files_leave() -> None:
    """Two files of 60 and one of 80 that can be cut, in four bins: 50 each where that can be."""
    bins = packed([[60], [60], [10] * 8], 4)

    assert loads([[60], [60], [10] * 8], bins) == [60, 60, 40, 40]
