"""Fit the network and choose the threshold on the first catalogue alone.

A fixed sample of known other names play aliases.  A name and its place are
split by the same coin as the hidden aliases, so, with its own row set aside,
such a name meets what a hidden alias of its place would meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from lakeflow.demo import network, scoring
from lakeflow.demo.index import Index

SAMPLE_MODULUS = 8
VALIDATION_SHARE = 4


@dataclass(frozen=True)
class Calibration:
    """The fitted network, its threshold, and the F1 seen on held-out known names."""

    network: network.Network
    threshold: float
    expected_f1: float
    sample: int


def pseudo_aliases(names: pa.Table, places: pa.Table) -> tuple[pa.Table, pa.Table]:
    """A sample of known other names as aliases (with `own`), and their true places."""
    frame = pl.DataFrame(names).join(
        pl.DataFrame(places).select("place_id", "country", "admin1"),
        on="place_id",
        maintain_order="left",
    )
    mixed = (pl.col("name_id").cast(pl.UInt64) + 1) * 2_654_435_761 % (1 << 32) // 65_536
    other = pl.col("name_id") != pl.col("name_id").min().over("place_id")
    sample = frame.filter(other, mixed % SAMPLE_MODULUS == 0).sort("name_id")
    sample = sample.with_columns(pl.col("name_id").alias("own"))
    aliases = sample.select(
        pl.col("name_id").alias("alias_id"),
        pl.col("name").alias("alias"),
        "country",
        "admin1",
        "own",
    )
    return aliases.to_arrow(), sample.select(pl.col("name_id").alias("alias_id"), "place_id").to_arrow()


def calibrate(frame: pl.DataFrame, features: NDArray[np.float32], truth: pa.Table, index: Index) -> Calibration:
    """Fit on most pseudo-aliases, choose the F1-best threshold on the rest."""
    true_place = pl.DataFrame(truth).with_columns(
        pl.Series(
            "true",
            np.searchsorted(index.places["place_id"].to_numpy(), truth["place_id"].to_numpy()),
        )
    )
    frame = frame.join(true_place, on="alias_id", maintain_order="left")
    right, start = choices(frame)
    alias = frame["alias_id"].to_numpy()
    held = (alias.astype(np.uint64) * np.uint64(40_503) >> np.uint64(5)) % np.uint64(VALIDATION_SHARE) == 0
    kept = ~held
    fitted = network.fit(features[kept], group_starts(alias[kept]), right[kept])
    rest = frame.filter(pl.Series(held))
    best = scoring.best_per_alias(rest, features[held], fitted, index)
    checked = best.join(pl.DataFrame(truth), on="alias_id", suffix="_true")
    threshold, f1 = best_threshold(
        checked["score"].to_numpy(),
        (checked["place_id"] == checked["place_id_true"]).to_numpy(),
        checked.height,
    )
    return Calibration(fitted, threshold, f1, len(start))


def choices(frame: pl.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """1 on the true candidate of every alias, or on "none" where it was not found."""
    alias = frame["alias_id"].to_numpy()
    start = group_starts(alias)
    right = frame["place"].to_numpy() == frame["true"].to_numpy()
    none = frame["place"].to_numpy() < 0
    sizes = np.diff(np.r_[start, len(alias)])
    found = np.repeat(np.logical_or.reduceat(right, start), sizes)
    return (right | (none & ~found)).astype(np.float32), start


def group_starts(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where the runs of equal ids begin."""
    return np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])


def best_threshold(scores: NDArray[np.float32], right: NDArray[np.bool_], total: int) -> tuple[float, float]:
    """The score at or above which answers give the best F1, and that F1."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + total)
    best = int(np.argmax(f1))
    return float(scores[order[best]]), float(f1[best])
