"""Candidate pairs: an alias and a known name of the same region that share rare grams.

Of an alias, the places with the largest shared weight are kept, and of each place the few names
that share most. Nothing here knows the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from lakeflow.demo import normal_forms as forms
from lakeflow.demo.index import Index, key_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["block", "prepare"]

TOP_PLACES = 28
NAMES_PER_PLACE = 2
# Worth of a known name in choosing places: weight added per log(1 + names).
FAME = 12.0
# Aliases at a time: small enough for the arrays to stay in the cache and in the heap.
CHUNK = 2048


def prepare(aliases: pa.Table, index: Index) -> pl.DataFrame:
    """Aliases of known regions with region, ascii, skeleton and style columns."""
    regions = pl.DataFrame(index.regions).select("country", "admin1", "region")
    frame = pl.DataFrame(aliases).join(regions, on=["country", "admin1"], maintain_order="left")
    frame = frame.filter(pl.col("region").is_not_null()).sort("alias_id")
    frame = frame.with_columns(
        forms.ascii_names(pl.col("alias")).alias("ascii"),
        pl.col("alias").str.contains(r"^\p{Ll}").alias("lower"),
        pl.col("alias").str.contains(r"^[A-Z]{3,4}$").alias("code"),
    )
    if "own" not in frame.columns:
        frame = frame.with_columns(pl.lit(-1, pl.Int32).alias("own"))
    return frame.with_columns(forms.skeleton_strings(frame["ascii"]))


def block(aliases: pa.Table, index: Index) -> pa.Table:
    """Pairs of a shard of aliases.

    Args:
        aliases: alias_id, alias, country, admin1. With a column `own` of name ids, an alias never
            meets that name, and its place is weighed as if it didn't have it.
        index: The first catalogue.

    Returns:
        alias_id, name_id, shared (weight of the keys both have) and weight (of all keys of the
        alias), all int32, sorted by alias_id and name_id.
    """
    frame = prepare(aliases, index)
    chunks = [_block(frame.slice(low, CHUNK), index) for low in range(0, frame.height, CHUNK)]
    return pa.concat_tables(chunks or [_block(frame, index)]).combine_chunks()


def _block(frame: pl.DataFrame, index: Index) -> pa.Table:
    """Pairs of a chunk of prepared aliases."""
    alias, name, shared, total = _shared_weights(frame, index)
    kept = _best(alias, shared, _places_without_own(frame, alias, name, index))
    alias, name, shared = alias[kept], name[kept], shared[kept]
    return pa.table(
        {
            "alias_id": frame["alias_id"].to_numpy()[alias],
            "name_id": name.astype(np.int32),
            "shared": shared.astype(np.int32),
            "weight": total[alias].astype(np.int32),
        }
    )


def _shared_weights(frame: pl.DataFrame, index: Index) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Every (alias row, name) with a common key, the weight they share; weight of all forms."""
    key, row = forms.gram_keys(frame["ascii"], frame["region"].to_numpy())
    posted = index.postings["key"].to_numpy()
    first = np.searchsorted(posted, key)
    first[first == len(posted)] = 0
    count = np.where(posted[first] == key, index.postings["count"].to_numpy()[first], 0).astype(np.int64)
    own = frame["own"].to_numpy()
    others = np.maximum(count - (own[row] >= 0), 0)
    weight = key_weights(key, others, index.regions["names"].to_numpy())
    total: NDArray[Any] = np.bincount(row, weight, len(frame))
    ends = np.cumsum(count)
    at = np.repeat(first - ends + count, count) + np.arange(ends[-1])
    name = index.postings["name_id"].to_numpy()[at].astype(np.uint64)
    packed = np.repeat((row.astype(np.uint64) << np.uint64(32)) | weight, count) | (name << np.uint64(8))
    if own.max(initial=-1) >= 0:
        packed = packed[np.repeat(own[row], count) != name.astype(np.int32)]
    packed.sort()
    pair = packed >> np.uint64(8)
    start = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])
    shared: NDArray[Any] = np.add.reduceat((packed & np.uint64(255)).astype(np.int64), start)
    found: NDArray[np.int64] = pair[start].astype(np.int64)
    return found >> 24, found & 0xFFFFFF, shared, total


def _places_without_own(
    frame: pl.DataFrame, alias: NDArray[np.int64], name: NDArray[np.int64], index: Index
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place of every pair, and its known names, not counting the alias's own row."""
    place_of = index.names["place"].to_numpy().astype(np.int64)
    own = frame["own"].to_numpy()
    own_place = np.where(own >= 0, place_of[np.maximum(own, 0)], -1)
    place = place_of[name]
    return place, index.places["known"].to_numpy()[place] - (own_place[alias] == place)


def _best(
    alias: NDArray[np.int64],
    shared: NDArray[np.int64],
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Positions of the best names of the best places of every alias, in order."""
    place, known = places
    start = np.flatnonzero(np.r_[True, (alias[1:] != alias[:-1]) | (place[1:] != place[:-1])])
    group = np.repeat(np.arange(len(start)), np.diff(np.r_[start, len(alias)]))
    worth = np.maximum.reduceat(shared, start) + (FAME * np.log1p(known[start])).astype(np.int64)
    good_place = _rank(alias[start], worth) < TOP_PLACES
    chosen = np.flatnonzero(good_place[group])
    return chosen[_rank(group[chosen], shared[chosen]) < NAMES_PER_PLACE]


def _rank(group: NDArray[np.int64], worth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank by falling worth within sorted groups; of equals, the first comes first.

    Group, worth and position are packed into one integer: at most 2**24 rows.
    """
    packed = (group << 36) | ((4095 - np.minimum(worth, 4095)) << 24) | np.arange(len(group))
    packed.sort()
    order = packed & 0xFFFFFF
    start = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[start, len(group)])
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(start, sizes)
    return rank
