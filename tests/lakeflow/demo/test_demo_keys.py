"""Normal forms and grams: what the blocking of the demo stands on."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.demo import normal_forms as forms
from lakeflow.demo.network import Network, initial


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Köln", "koln"), ("Saint-Étienne", "saint etienne"), ("Łódź", "lodz"), ("L'Aquila", "laquila"), ("", "")],
)
def test_names_fold_to_ascii_words(name, expected):
    """Accents, case and punctuation don't tell names apart."""
    folded = pl.DataFrame({"name": [name]}).select(forms.ascii_names(pl.col("name")))["name"][0]

    assert folded == expected


@given(st.lists(st.text("abcz 09", max_size=30), min_size=1, max_size=20), st.integers(1, 12))
def test_letters_lay_strings_into_rows(names, width):
    """Row i is string i, cut or padded with zeros."""
    matrix = forms.letters(pl.Series("name", names), width)

    assert [bytes(row).rstrip(b"\0").decode() for row in matrix] == [name[:width] for name in names]


@given(st.lists(st.text("abcdklmnst", max_size=12), min_size=1, max_size=20))
def test_gram_keys_are_distinct_sorted_and_of_their_row(names):
    """Each row has each of its keys once, and equal names in one region have equal keys."""
    key, row = forms.gram_keys(pl.Series("name", [*names, names[0]]), np.zeros(len(names) + 1, np.int64))

    pairs = list(zip(key.tolist(), row.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert set(key[row == 0].tolist()) == set(key[row == len(names)].tolist())


def test_network_survives_json():
    """A fitted network travels through a run's plan unchanged."""
    network = initial(np.arange(12, dtype=np.float32).reshape(4, 3), 5)

    again = Network.from_json(network.to_json())

    assert all(np.array_equal(getattr(network, name), getattr(again, name)) for name in ("mean", "hidden", "linear"))
