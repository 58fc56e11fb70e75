"""Row groups of files -> bins of about equal weight, with few files in more than one of them.

This is list scheduling, largest first (Graham 1969, "Bounds on Multiprocessing Timing Anomalies"), in
which files can be poured. What is hard to place comes first: files in the order of their largest row
group, each into the lightest bin. A file that doesn't fit there is cut, as in McNaughton's wrap-around
rule (1959, "Scheduling with Deadlines and Loss Functions"): the bin gets as many of its row groups as it
has room for, and the rest goes on to the bin that is the lightest then. So what is cut finely fills up
what coarser files left, and small files stay whole.

No bin is heavier than the mean and the largest row group together: while anything is left, the lightest
bin is below the mean, and it gets what fits below the mean, or one row group. Row groups that are heavier
than the mean would be are bins by themselves, and the others share the rest, whose mean is smaller.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Run", "pack"]


class Run(NamedTuple):
    """Neighbouring row groups of one file."""

    file: int
    """Its number."""
    first: int
    """The number of the first row group."""
    behind: int
    """One more than that of the last."""


def pack(files: Sequence[Sequence[int]], n: int) -> list[list[Run]]:
    """Share row groups out.

    Args:
        files: Of each file, the weights of its row groups, added up: 0, the first one's, the first two's, ...
            Each weighs something.
        n: Bins at most, 1 or more.

    Returns:
        Bins, as many as `n` or as there are row groups, in the order of what comes first in each. None is empty;
        runs are sorted, and those of one file don't touch each other. The same files in the same order give the
        same bins.
    """
    n = min(n, sum(len(ends) - 1 for ends in files))
    threshold = _threshold(files, n)
    alone: list[list[Run]] = []
    shared: list[Run] = []
    for run, is_alone in _runs(files, threshold):
        if is_alone:
            alone.append([run])
        else:
            shared.append(run)
    made = alone + (_poured(files, shared, n - len(alone)) if shared else [])
    return sorted(_joined(runs) for runs in made)


def _threshold(files: Sequence[Sequence[int]], n: int) -> int:
    """The weight from which on a row group gets a bin for itself: no less than the mean of what is lighter."""
    weights = sorted((end - start for ends in files for start, end in pairwise(ends)), reverse=True)
    bins, left = n, sum(weights)
    threshold = left + 1
    for weight in weights:
        if bins == 1 or weight * bins < left:
            break
        threshold, left, bins = weight, left - weight, bins - 1
    return threshold


def _runs(files: Sequence[Sequence[int]], threshold: int) -> Iterator[tuple[Run, bool]]:
    """Files, cut around the row groups that get a bin for themselves; and whether a run is one of these."""
    for number, ends in enumerate(files):
        begin = 0
        if ends[-1] >= threshold:  # else none of its row groups is so heavy
            for index, (start, end) in enumerate(pairwise(ends)):
                if end - start >= threshold:
                    if begin < index:
                        yield Run(number, begin, index), False
                    yield Run(number, index, index + 1), True
                    begin = index + 1
        if begin < len(ends) - 1:
            yield Run(number, begin, len(ends) - 1), False


def _poured(files: Sequence[Sequence[int]], runs: list[Run], n: int) -> list[list[Run]]:
    def hardness(run: Run) -> tuple[int, int, Run]:
        ends = files[run.file]
        largest = max(ends[i + 1] - ends[i] for i in range(run.first, run.behind))
        return -largest, ends[run.first] - ends[run.behind], run

    # Rounded down, so that something is left for the last bin.
    limit = sum(files[run.file][run.behind] - files[run.file][run.first] for run in runs) // n
    bins: list[list[Run]] = [[] for _ in range(n)]
    lightest = [(0, number) for number in range(n)]
    for run in sorted(runs, key=hardness):
        ends, first = files[run.file], run.first
        while first < run.behind:
            load, number = lightest[0]
            fits = bisect_right(ends, ends[first] + limit - load, first + 1, run.behind + 1) - 1
            behind = max(fits, first + 1)
            bins[number].append(Run(run.file, first, behind))
            heapq.heapreplace(lightest, (load + ends[behind] - ends[first], number))
            first = behind
    return bins


def _joined(runs: list[Run]) -> list[Run]:
    """Sorted, and what touches made one."""
    joined: list[Run] = []
    for run in sorted(runs):
        if joined and joined[-1].file == run.file and joined[-1].behind == run.first:
            joined[-1] = joined[-1]._replace(behind=run.behind)
        else:
            joined.append(run)
    return joined
