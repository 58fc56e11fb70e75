"""What is learnt of a store: how many requests, and when one of them is slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.reader import pace

MIB = 1024 * 1024


def test_nothing_is_hedged_before_there_is_anything_to_compare_with() -> None:
    """Only after eight answers is it known what slow is."""
    paced = pace.Pace()
    allowed = []

    for sent in range(1, 10):
        allowed.append(paced.may_hedge(sent, 0))
        paced.answered(1000, 0.01, 0.02, 8)

    assert allowed == [False] * 8 + [True]


def test_hedges_are_two_in_a_hundred() -> None:
    """One at first, then a fiftieth of what was sent."""
    paced = pace.Pace()
    hedges = 0
    for sent in range(1, 1001):
        paced.answered(1000, 0.01, 0.02, 8)
        while paced.may_hedge(sent, hedges):
            hedges += 1

    assert hedges == 20


@given(
    link=st.floats(1e6, 1e9), first=st.integers(1, 16), later=st.integers(1, 128), size=st.integers(100_000, 16 * MIB)
)
def test_growth_on_a_full_link_is_no_stall(link: float, first: int, later: int, size: int) -> None:
    """Where all requests share one link, more at once take longer each, and none of them is given up for that."""
    paced = pace.Pace()
    for _ in range(8):
        paced.answered(size, 0.03, 0.03 + size * first / link, first)

    takes = 0.03 + size * later / link

    assert takes < paced.stalled_after(size, later)


def test_small_answers_tell_nothing_of_large_ones() -> None:
    """After footers that came at once, megabytes may still take as long as over a bad line; one large answer tells."""
    paced = pace.Pace()
    for _ in range(50):
        paced.answered(65_536, 0.03, 0.0301, 4)

    before = paced.stalled_after(8 * MIB, 8)
    paced.answered(8 * MIB, 0.03, 0.13, 8)
    after = paced.stalled_after(8 * MIB, 8)

    assert before > 8 * MIB / 2e6
    assert 0.13 < after < 1


def test_one_small_outlier_tells_little() -> None:
    """An answer that took ten seconds among many that took a tenth moves the limit, and doesn't lift it off."""
    paced = pace.Pace()
    for number in range(64):
        paced.answered(8 * MIB, 0.03, 10.0 if number == 40 else 0.13, 8)

    assert paced.stalled_after(8 * MIB, 8) < 3


@pytest.mark.parametrize(
    ("link", "held_back", "least", "most"),
    [(500e6, True, 64, 150), (5e9, True, 400, 1024), (100e9, True, 1024, 1024), (5e9, False, 64, 64)],
)
def test_the_window_is_what_the_link_takes(
    monkeypatch: pytest.MonkeyPatch,
    link: float,
    held_back: bool,  # noqa: FBT001
    least: int,
    most: int,
) -> None:
    """It grows while it holds requests back and growing moves more; in MiB, with answers that take 130 ms at least."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    paced = pace.Pace()
    for _ in range(200):
        if held_back:
            paced.held_back()
        requests = paced.window // (8 * MIB)
        seconds = max(0.13, paced.window / link)
        for _ in range(requests):
            now[0] += seconds / requests
            paced.answered(8 * MIB, 0.03, seconds, requests)

    assert least <= paced.window // MIB <= most
