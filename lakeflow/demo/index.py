"""The first catalogue, indexed: every known name under grams that are rare in its region.

A name is posted under letter and skeleton grams (`normal_forms`). The index is four Arrow tables,
so that it can be shared with tasks as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from lakeflow.demo import normal_forms as forms

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Index", "build_index", "key_weights"]

# Weights of keys are small integers, so that sums of them are exact.
SCALE = 16.0


@dataclass(frozen=True, slots=True)
class Index:
    """Everything about the known names that shards of aliases are matched against."""

    postings: pa.Table
    """key uint64, name_id int32, count uint8 (of the key); sorted by key and name_id."""
    names: pa.Table
    """name_id, place (row of `places`), ascii, skeleton, total (weight of its keys), lower."""
    places: pa.Table
    """place_id, region, known (other names), population, lower (names in lower case)."""
    regions: pa.Table
    """country, admin1, region, names, known (other names)."""

    def tables(self) -> dict[str, pa.Table]:
        """By the names that the demo's functions take them under."""
        return {"postings": self.postings, "names": self.names, "places": self.places, "regions": self.regions}


def build_index(names: pa.Table, places: pa.Table) -> Index:
    """Index the catalogue; `names` is sorted by place, main name first, and `name_id` is the row."""
    place_frame, region_frame = _places_and_regions(pl.DataFrame(names), pl.DataFrame(places))
    frame = (
        pl.DataFrame(names)
        .join(place_frame.select("place_id", "place", "region"), on="place_id", maintain_order="left")
        .with_columns(
            forms.ascii_names(pl.col("name")).alias("ascii"),
            pl.col("name").str.contains(r"^\p{Ll}").alias("lower"),
        )
    )
    postings, totals = _postings(frame, region_frame["names"].to_numpy())
    kept = frame.select(
        "name_id",
        "place",
        "ascii",
        skeleton_strings(frame["ascii"]),
        pl.Series("total", totals),
        "lower",
    )
    lower = frame.group_by("place").agg(pl.col("lower").sum()).sort("place")["lower"]
    return Index(
        postings=postings,
        names=kept.to_arrow(),
        places=place_frame.with_columns(lower).drop("place").to_arrow(),
        regions=region_frame.to_arrow(),
    )


def skeleton_strings(ascii_name: pl.Series) -> pl.Series:
    """Skeletons as strings, for string similarities."""
    plain = forms.letters(ascii_name.str.replace_all(" ", "", literal=True), forms.LETTER_WIDTH)
    bare = forms.skeletons(plain, forms.SKELETON_WIDTH)
    fixed = np.ascontiguousarray(bare).view(f"S{forms.SKELETON_WIDTH}").ravel()
    return pl.Series("skeleton", pa.array(fixed).cast(pa.string()))


def _places_and_regions(names: pl.DataFrame, places: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count the known other names of places and of regions."""
    counts = names.group_by("place_id").agg((pl.len() - 1).cast(pl.Int32).alias("known"))
    regions = places.select("country", "admin1").unique().sort("country", "admin1")
    regions = regions.with_row_index("region").with_columns(pl.col("region").cast(pl.Int32))
    frame = (
        places.sort("place_id")
        .join(regions, on=["country", "admin1"], maintain_order="left")
        .join(counts, on="place_id", maintain_order="left")
        .with_row_index("place")
        .with_columns(pl.col("place").cast(pl.Int32))
    )
    known = frame.group_by("region").agg(pl.col("known").sum(), (pl.col("known") + 1).sum().alias("names"))
    regions = regions.join(known, on="region").sort("region")
    return frame.select("place", "place_id", "region", "known", "population"), regions


def key_weights(key: NDArray[np.uint64], count: NDArray[np.integer], sizes: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Weights of keys on `count` names of regions of `sizes` names: the rarer the more."""
    rarity = np.log((sizes[forms.region_of(key)] + 4.0) / (count + 2.0)) + 0.2
    weight = rarity * np.array([kind.weight for kind in forms.KINDS])[forms.kind_of(key)] * SCALE
    whole: NDArray[np.uint64] = np.rint(weight).clip(1, 255).astype(np.uint64)
    return whole


def _postings(frame: pl.DataFrame, sizes: NDArray[np.integer]) -> tuple[pa.Table, NDArray[np.float32]]:
    """Keys of all names, without those on too many names; and the weight of the keys of a name."""
    key, row = forms.gram_keys(frame["ascii"], frame["region"].to_numpy())
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    count = np.diff(np.r_[start, len(key)])
    caps = np.array([kind.cap for kind in forms.KINDS])[forms.kind_of(key[start])]
    kept = np.repeat(count <= caps, count)
    weight = np.repeat(key_weights(key[start], count, sizes), count)[kept]
    totals = np.bincount(row[kept], weight, len(frame)).astype(np.float32)
    counts = np.repeat(np.minimum(count, 255).astype(np.uint8), count)[kept]
    return pa.table({"key": key[kept], "name_id": row[kept].astype(np.int32), "count": counts}), totals
