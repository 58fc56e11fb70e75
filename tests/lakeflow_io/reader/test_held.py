"""No more is let in than keeps the link and the decoders busy, however large the budget is."""

from __future__ import annotations

from lakeflow_io.reader.held import Held
from lakeflow_io.reader.report import Counters

PLENTY = 2**40


def test_bytes_ahead_of_the_decoders_are_limited() -> None:
    """Once more is fetched and not decoded than may be ahead, only the oldest gets in, until one is decoded."""
    held = Held(PLENTY, 1, lambda: 100, Counters())
    assert held.admit(0, 60, 1, anyway=True)
    assert held.admit(1, 60, 1, anyway=False)

    assert not held.admit(2, 60, 1, anyway=False)
    assert held.admit(2, 60, 1, anyway=True)

    held.decode(0, lambda _: None)
    assert not held.admit(3, 60, 1, anyway=False)
    held.rest()
    held.decode(1, lambda _: None)
    assert held.admit(3, 60, 1, anyway=False)


def test_units_that_wait_for_decoders_are_limited() -> None:
    """While dozens of units wait, small as they are, no further one is asked for; once some are decoded, it is."""
    held = Held(PLENTY, 1, lambda: PLENTY, Counters())
    admitted = 0
    while admitted < 1000 and held.admit(admitted, 1, 1, anyway=not admitted):
        held.decode(admitted, lambda _: None)
        admitted += 1

    assert 32 < admitted < 128
    held.rest()
    assert held.admit(admitted, 1, 1, anyway=False)
