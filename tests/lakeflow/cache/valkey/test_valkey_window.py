"""How much is on its way to a server follows how it answers."""

from __future__ import annotations

from itertools import pairwise

from lakeflow.cache.valkey.window import LEAST_BYTES, MOST_BYTES, SLOW_SECONDS, Window

FAST, SLOW = SLOW_SECONDS / 2, SLOW_SECONDS * 2


def test_fast_answers_open_it_step_by_step() -> None:
    """By the same number of bytes each, up to a bound that keeps a push's memory small."""
    window, sizes = Window(), [0]

    for now in range(200):
        window.answered(now, now + FAST)
        sizes.append(window.bytes)

    assert len({after - before for before, after in pairwise(sizes[1:30])}) == 1
    assert sizes[-1] == MOST_BYTES


def test_slow_answers_halve_it_once_for_all_that_was_on_its_way() -> None:
    """Those that were sent before the last cut say nothing new; those after it do."""
    window = Window()
    before = window.bytes

    for late in range(5):
        window.answered(0, SLOW + late)
    assert window.bytes == before // 2

    window.answered(100, 100 + SLOW)
    assert window.bytes == before // 4


def test_it_never_closes() -> None:
    """A slow server gets little at a time, and small commands; a server that recovers gets more again."""
    window = Window()

    for now in range(0, 1000, 10):
        window.answered(now, now + SLOW)
    assert (window.bytes, window.command_bytes) == (LEAST_BYTES, LEAST_BYTES // 4)

    window.answered(2000, 2000 + FAST)
    assert window.bytes > LEAST_BYTES


def test_refusals_halve_it_and_wait_longer_each_time() -> None:
    """Until an answer: then pauses begin small again."""
    window = Window()
    before = window.bytes

    pauses = [window.refused(10.0) - 10.0 for _ in range(10)]

    assert window.bytes < before // 2
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0
    window.answered(20.0, 20.0 + FAST)
    assert window.refused(30.0) - 30.0 == pauses[0]
