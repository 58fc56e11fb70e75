"""From candidate pairs to the best place of every alias, with a probability.

Pairs become similarities (DuckDB's string functions and the shared weight of
`blocking`), pairs of one place become one candidate, and a small network
scores the candidates of an alias against each other and against "none".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lakeflow.demo import blocking
from lakeflow.demo.index import SCALE, Index

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeflow.demo.network import Network

# Their sum is the overall similarity of a pair.
BLEND = ("winkler", "edits", "skeleton_edits", "overlap")
Floats = NDArray[np.float32]
# Aliases at a time, to keep the matrices small.
CHUNK = 8192
NO_ANSWERS = pl.DataFrame(schema={"alias_id": pl.Int32, "place_id": pl.Int32, "score": pl.Float32})

SIMILARITIES = """
    SELECT jaro_winkler_similarity(a, n)::FLOAT AS winkler,
           (1 - levenshtein(a, n) / greatest(length(a), length(n), 1))::FLOAT AS edits,
           jaro_winkler_similarity(sa, sn)::FLOAT AS skeleton_winkler,
           (1 - levenshtein(sa, sn) / greatest(length(sa), length(sn), 1))::FLOAT AS skeleton_edits,
           (a = n)::FLOAT AS same
    FROM pairs
"""


def similarities(pairs: pa.Table, aliases: pl.DataFrame, index: Index) -> pl.DataFrame:
    """String similarities of every pair, in the order of the pairs."""
    names = pl.DataFrame(index.names.select(["ascii", "skeleton"]))
    row = np.searchsorted(aliases["alias_id"].to_numpy(), pairs["alias_id"].to_numpy())
    name = pairs["name_id"].to_numpy()
    strings = pl.DataFrame(
        {
            "a": aliases["ascii"].gather(row),
            "n": names["ascii"].gather(name),
            "sa": aliases["skeleton"].gather(row),
            "sn": names["skeleton"].gather(name),
        }
    ).to_arrow()
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("pairs", strings)
        return pl.DataFrame(connection.sql(SIMILARITIES).to_arrow_table())


def candidates(pairs: pa.Table, aliases: pa.Table, index: Index) -> tuple[pl.DataFrame, Floats]:
    """One row an (alias, place), and one "none" row (place -1) an alias; and their features.

    Pairs are sorted by alias_id and name_id, names by place, so candidates are runs of pairs.
    """
    prepared = blocking.prepare(aliases, index)
    alias = pairs["alias_id"].to_numpy()
    name, shared, weight = (pairs[column].to_numpy() for column in ("name_id", "shared", "weight"))
    place = index.names["place"].to_numpy()[name].astype(np.int64)
    start = np.flatnonzero(np.r_[True, (alias[1:] != alias[:-1]) | (place[1:] != place[:-1])])
    similar = similarities(pairs, prepared, index).with_columns(
        pl.Series("overlap", 2 * shared / (weight + index.names["total"].to_numpy()[name] + 1), pl.Float32),
        pl.Series("cover", shared / (weight + 1), pl.Float32),
        pl.Series("shared", np.log1p(shared / SCALE), pl.Float32),
    )
    similar = similar.with_columns(pl.sum_horizontal(BLEND).alias("blend"))
    matrix = similar.to_numpy()
    best = np.maximum.reduceat(matrix, start, axis=0)
    sizes = np.diff(np.r_[start, len(alias)])[:, None].astype(np.float32)
    mean = np.add.reduceat(matrix, start, axis=0) / sizes
    who = np.searchsorted(prepared["alias_id"].to_numpy(), alias[start])
    context = _context(prepared, who, place[start], index)
    found = np.hstack([best, mean[:, [0, 3, 5]], _rivals(best, who), context, sizes - 1])
    return _with_none(prepared, who, place[start], found.astype(np.float32))


def _context(prepared: pl.DataFrame, who: NDArray[np.int64], place: NDArray[np.int64], index: Index) -> Floats:
    """What the place is known for, apart from the alias's own row where it has one."""
    own = prepared["own"].to_numpy()[who]
    own_place = np.where(own >= 0, index.names["place"].to_numpy()[np.maximum(own, 0)], -1)
    is_own = own_place == place
    styled = prepared["lower"].to_numpy()[who]
    known = index.places["known"].to_numpy()[place] - is_own
    lower = index.places["lower"].to_numpy()[place].astype(np.int64) - (is_own & styled)
    region = prepared["region"].to_numpy()[who]
    region_known = index.regions["known"].to_numpy()[region] - (own >= 0)
    population = index.places["population"].to_numpy()[place]
    columns: list[NDArray[Any]] = [
        np.log(known + 0.3),
        np.log((known + 0.3) / (region_known + 1.0)),
        known == 0,
        np.log1p(population),
        np.where(styled, np.log(lower + 0.3), 0.0),
        np.where(prepared["code"].to_numpy()[who], np.log1p(population), 0.0),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _rivals(best: Floats, who: NDArray[np.int64]) -> Floats:
    """How far a candidate is behind the best candidate of its alias, by four measures."""
    start = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    sizes = np.diff(np.r_[start, len(who)])
    chosen = best[:, [0, 3, 5, 8]]
    behind: Floats = chosen - np.repeat(np.maximum.reduceat(chosen, start, axis=0), sizes, axis=0)
    return behind


def _with_none(
    prepared: pl.DataFrame, who: NDArray[np.int64], place: NDArray[np.int64], found: Floats
) -> tuple[pl.DataFrame, Floats]:
    """Add the "none" row of every alias, and what concerns the alias alone."""
    rows = np.unique(who)
    alone = np.concatenate([who, rows])
    order = np.argsort(alone, kind="stable")
    matrix = np.vstack([found, np.zeros((len(rows), found.shape[1]), np.float32)])
    none = np.r_[np.zeros(len(who)), np.ones(len(rows))]
    sizes = np.bincount(who)
    about = [
        none,
        prepared["lower"].to_numpy()[alone],
        prepared["code"].to_numpy()[alone],
        np.log1p(prepared["ascii"].str.len_bytes().to_numpy()[alone]),
        np.log(sizes[alone]),
        prepared["ascii"].str.count_matches(" ").to_numpy()[alone],
        prepared["skeleton"].str.len_bytes().to_numpy()[alone],
    ]
    features = np.hstack([matrix, np.stack(about, axis=1).astype(np.float32)])[order]
    frame = pl.DataFrame(
        {
            "alias_id": prepared["alias_id"].to_numpy()[alone][order],
            "place": np.r_[place, np.full(len(rows), -1)][order],
        }
    )
    return frame, features


def best_per_alias(frame: pl.DataFrame, features: Floats, network: Network, index: Index) -> pl.DataFrame:
    """The most probable place of every alias: alias_id, place_id, score."""
    alias = frame["alias_id"].to_numpy()
    start = np.flatnonzero(np.r_[True, alias[1:] != alias[:-1]])
    chance = network.probabilities(features, start)
    chance = np.where(frame["place"].to_numpy() >= 0, chance, -1.0)
    top = np.maximum.reduceat(chance, start)
    sizes = np.diff(np.r_[start, len(alias)])
    winners = np.flatnonzero(chance == np.repeat(top, sizes))
    winners = winners[np.r_[True, alias[winners][1:] != alias[winners][:-1]]]
    return pl.DataFrame(
        {
            "alias_id": alias[winners],
            "place_id": index.places["place_id"].to_numpy()[frame["place"].to_numpy()[winners]],
            "score": chance[winners].astype(np.float32),
        }
    )


def score(aliases: pa.Table, pairs: pa.Table, index: Index, network: Network) -> pa.Table:
    """The shard function: pairs of a shard to alias_id, place_id, score (one row an alias)."""
    ordered = aliases.sort_by("alias_id")
    ids, paired = ordered["alias_id"].to_numpy(), pairs["alias_id"].to_numpy()
    answers = []
    for low in range(0, len(ids), CHUNK):
        part = ordered.slice(low, CHUNK)
        first = np.searchsorted(paired, ids[low])
        last = np.searchsorted(paired, ids[low + part.num_rows - 1], side="right")
        if last > first:
            frame, features = candidates(pairs.slice(first, last - first), part, index)
            answers.append(best_per_alias(frame, features, network, index))
    return pl.concat(answers).to_arrow() if answers else NO_ANSWERS.to_arrow()
