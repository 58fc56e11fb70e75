"""The charts' time axis: in order, complete, and without the hours in which nothing ran."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.runs.report.clock import Clock
from lakeflow.runs.report.tries import spread_over

moments = st.floats(0, 1e7, allow_nan=False)
lengths = st.floats(0, 1e5, allow_nan=False)
intervals = st.lists(st.tuples(moments, lengths), min_size=1, max_size=30).map(
    lambda pairs: (np.array(sorted(begin for begin, _ in pairs)), np.array([length for _, length in pairs]))
)


@given(intervals)
def test_the_axis_keeps_order_and_ends(given_intervals: tuple[np.ndarray, np.ndarray]) -> None:
    """Later moments are further right, all of them between 0 and 1, and edges map back to themselves."""
    started, length = given_intervals
    clock = Clock.of(started, started + length)
    moments = np.sort(np.concatenate([started, started + length]))

    places = clock.place(moments)

    assert (np.diff(places) >= 0).all()
    assert places[0] == 0.0
    assert places[-1] <= 1.0
    assert (np.diff(clock.edges(50)) >= 0).all()
    assert np.allclose(clock.place(clock.edges(50)), np.linspace(0, 1, 51), atol=1e-3)
    assert all(0 <= tick.at <= 1 for tick in clock.ticks())
    assert len(clock.ticks()) <= 13


@given(intervals, st.integers(1, 60))
def test_what_is_spread_over_bins_is_neither_lost_nor_doubled(
    given_intervals: tuple[np.ndarray, np.ndarray], bins: int
) -> None:
    """The bins of an axis add up to the whole, gaps or not."""
    started, length = given_intervals
    amounts = np.arange(1.0, len(started) + 1)
    edges = Clock.of(started, started + length).edges(bins)
    edges[0] -= 1
    edges[-1] += 1

    found = spread_over(edges, started, started + length, amounts)

    assert np.isclose(found.sum(), amounts.sum())
    assert (found >= -1e-9).all()


def test_a_night_in_between_is_cut() -> None:
    """Two hours of work, fourteen hours apart, take up nearly all of the axis; the gap says how long it was."""
    started = np.array([0.0, 3600 + 14 * 3600.0])

    clock = Clock.of(started, started + 3600)

    [(left, right, seconds)] = clock.gaps
    assert seconds == 14 * 3600
    assert right - left < 0.05
    assert clock.seconds == 16 * 3600
    assert all(not left < tick.at < right for tick in clock.ticks())


def test_a_pause_among_long_tasks_is_drawn() -> None:
    """What is short beside the run is to scale."""
    started = np.array([0.0, 3700.0])

    assert Clock.of(started, started + 3600).gaps == []
