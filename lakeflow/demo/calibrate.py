"""Fit the network and choose the threshold on the first catalogue alone.

A fixed sample of known other names play aliases. The same coin that hid the aliases left these
known, so, with its own row set aside, such a name meets what a hidden alias of its place would
meet. The truth about the aliases is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lakeflow.demo import blocking, network, scoring

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeflow.demo.index import Index

SAMPLE_MODULUS = 8
VALIDATION_SHARE = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted network, its threshold, and the F1 seen on held-out known names."""

    network: network.Network
    threshold: float
    expected_f1: float
    sample: int


def calibrate(names: pa.Table, places: pa.Table, index: Index) -> Calibration:
    """Fit on three quarters of the sample, choose the F1-best threshold on the rest."""
    aliases, truth = _pseudo_aliases(names, places)
    frame, features = scoring.candidates(blocking.block(aliases, index), aliases, index)
    row = np.searchsorted(index.places["place_id"].to_numpy(), truth["place_id"].to_numpy())
    true_place = truth.select("alias_id").with_columns(pl.Series("true", row))
    frame = frame.join(true_place, on="alias_id", maintain_order="left")
    right, start = _choices(frame)
    alias = frame["alias_id"].to_numpy()
    mixed = alias.astype(np.uint64) * np.uint64(40_503) >> np.uint64(5)
    held = mixed % np.uint64(VALIDATION_SHARE) == 0
    fitted = network.fit(features[~held], _group_starts(alias[~held]), right[~held])
    best = scoring.best_per_alias(frame.filter(pl.Series(held)), features[held], fitted, index)
    checked = best.join(truth, on="alias_id", suffix="_true")
    correct = (checked["place_id"] == checked["place_id_true"]).to_numpy()
    threshold, f1 = _best_threshold(checked["score"].to_numpy(), correct, checked.height)
    return Calibration(fitted, threshold, f1, len(start))


def _pseudo_aliases(names: pa.Table, places: pa.Table) -> tuple[pa.Table, pl.DataFrame]:
    """A fixed sample of known other names as aliases (with `own`), and their true places."""
    regions = pl.DataFrame(places).select("place_id", "country", "admin1")
    frame = pl.DataFrame(names).join(regions, on="place_id", maintain_order="left")
    mixed = (pl.col("name_id").cast(pl.UInt64) + 1) * 2_654_435_761 % (1 << 32) // 65_536
    other = pl.col("name_id") != pl.col("name_id").min().over("place_id")
    sample = frame.filter(other, mixed % SAMPLE_MODULUS == 0).sort("name_id")
    sample = sample.rename({"name_id": "alias_id", "name": "alias"}).with_columns(pl.col("alias_id").alias("own"))
    aliases = sample.select("alias_id", "alias", "country", "admin1", "own")
    return aliases.to_arrow(), sample.select("alias_id", "place_id")


def _choices(frame: pl.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """1 on the true candidate of every alias, or on "none" where it was not found."""
    alias = frame["alias_id"].to_numpy()
    start = _group_starts(alias)
    right = frame["place"].to_numpy() == frame["true"].to_numpy()
    none = frame["place"].to_numpy() < 0
    sizes = np.diff(np.r_[start, len(alias)])
    found = np.repeat(np.logical_or.reduceat(right, start), sizes)
    return (right | (none & ~found)).astype(np.float32), start


def _group_starts(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where the runs of equal ids begin."""
    return np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])


def _best_threshold(scores: NDArray[np.float32], right: NDArray[np.bool_], total: int) -> tuple[float, float]:
    """The score at or above which answers give the best F1, and that F1."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + total)
    best = int(np.argmax(f1))
    return float(scores[order[best]]), float(f1[best])
