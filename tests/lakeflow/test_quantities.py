"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.quantities import bytes_text, count_text, seconds_text, share_text


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1536, "1.54 kB"), (999_499, "999 kB"), (999_999, "1.00 MB"),
        (12_345_678, "12.3 MB"), (1.24e9, "1.24 GB"), (3e12, "3.00 TB"), (5e18, "5000 PB"), (float("nan"), "unknown"),
    ],
)  # fmt: skip
def test_bytes(number: float, expected: str) -> None:
    """Three digits and a decimal unit."""
    assert expected == bytes_text(number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0"), (40_000, "40,000"), (99_999, "99,999"), (100_000, "100 k"), (1_240_000, "1.24 M"), (2.5, "2")],
)
def test_counts(number: float, expected: str) -> None:
    """All digits while they fit."""
    assert expected == count_text(number)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"), (0.0004, "0 ms"), (0.85, "850 ms"), (0.9996, "1.0 s"), (12.34, "12.3 s"), (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"), (3599.6, "1 h 00 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_seconds(seconds: float, expected: str) -> None:
    """One unit below a minute, two above."""
    assert expected == seconds_text(seconds)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 10, "0 %"), (1, 1000, "< 1 %"), (5, 10, "50 %"), (999.9, 1000, "> 99 %"), (10, 10, "100 %"), (0, 0, "0 %")],
)
def test_shares(part: float, whole: float, expected: str) -> None:
    """What is there is not shown as nothing, and what isn't all is not shown as all."""
    assert expected == share_text(part, whole)


@given(st.floats(0, 1e17))
def test_texts_stay_short(number: float) -> None:
    """Whatever the number, it fits into a column, and no unit is passed its end."""
    for text in (bytes_text(number), count_text(number), seconds_text(number)):
        assert len(text) <= 20
    assert not bytes_text(number).startswith("1000 ") or number < 1e3 or number >= 1e17
