"""Sizes in words, and a default that fits the machine."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io import budget
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (1, 1),
        ("512", 512),
        ("1 B", 1),
        ("1kb", 1000),
        ("1 KiB", 1024),
        ("64 MiB", 64 * 2**20),
        ("2GB", 2 * 10**9),
        (" 1.5 GiB ", 3 * 2**29),
        (".5 mib", 2**19),
        ("1 TiB", 2**40),
    ],
)
def test_a_size_in_words(text: int | str, expected: int) -> None:
    """Decimal and binary units, any case, with or without a space."""
    assert expected == budget.parse_bytes(text)


@given(st.integers(1, 2**50))
def test_a_number_of_bytes_is_itself(size: int) -> None:
    """A number, also as text, is taken as bytes to the last one."""
    assert [size, size] == [budget.parse_bytes(size), budget.parse_bytes(str(size))]


@pytest.mark.parametrize("text", ["", "MiB", "1 XiB", "-1", "1,5 GB", "1 2", "0", 0, -5, "0.1 B", "nan"])
def test_what_is_no_size_is_refused(text: int | str) -> None:
    """Nonsense, zero and negative sizes are the caller's mistake."""
    with pytest.raises(InputError) as caught:
        budget.parse_bytes(text)

    assert "MiB" in str(caught.value.hint)


@given(st.text(max_size=8))
def test_any_text_is_a_size_or_an_input_error(text: str) -> None:
    """No text makes it raise anything else."""
    with suppress(InputError):
        assert budget.parse_bytes(text) > 0


@pytest.mark.parametrize(("limit", "expected"), [("104857600", 26214400), ("max", None), ("9" * 18, None)])
def test_the_default_is_a_quarter_of_the_containers_limit(
    limit: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's limit counts where it is below the machine's memory; one GiB is the most."""
    file = tmp_path / "memory.max"
    file.write_text(limit)
    monkeypatch.setattr(budget, "_CGROUP_LIMITS", (str(tmp_path / "absent"), str(file)))

    found = budget.default_budget()

    assert found == expected or (expected is None and 0 < found <= 2**30)


def test_there_is_a_core() -> None:
    """However few cores there are, work has one."""
    assert budget.available_cpus() >= 1
