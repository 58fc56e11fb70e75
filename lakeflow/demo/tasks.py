"""The functions that the demo runs over shards, as a user would write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from lakeflow.demo.blocking import block
from lakeflow.demo.index import Index
from lakeflow.demo.network import Network
from lakeflow.demo.scoring import score

__all__ = ["answer", "block_shard", "match_shard"]


def block_shard(
    aliases: pa.Table, postings: pa.Table, names: pa.Table, places: pa.Table, regions: pa.Table
) -> pa.Table:
    """Aliases -> candidate pairs."""
    return block(aliases, Index(postings, names, places, regions))


def match_shard(
    pairs: pa.Table,
    aliases: pa.Table,
    names: pa.Table,
    places: pa.Table,
    regions: pa.Table,
    network: dict[str, Any],
    threshold: float,
) -> pa.Table:
    """Candidate pairs -> the best place of each alias, where it is above the threshold."""
    pairs = pairs.sort_by([("alias_id", "ascending"), ("name_id", "ascending")])
    mine = aliases.filter(np.isin(aliases["alias_id"].to_numpy(), pairs["alias_id"].to_numpy()))
    best = score(mine, pairs, Index(pa.table({}), names, places, regions), Network.from_json(network))
    above = pl.DataFrame(best).filter(pl.col("score") >= threshold)
    return above.join(pl.DataFrame(mine).select("alias_id", "alias"), on="alias_id").to_arrow()


def answer(matches: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Matches -> what the cache answers: one row an alias, the likeliest place first."""
    known = matches.join(places, on="place_id").sort("score", "population", "place_id", descending=[True, True, False])
    return known.group_by("alias", maintain_order=True).agg(
        pl.col("name").first().alias("place"),
        pl.col("country", "admin1", "place_id", "population").first(),
        pl.col("score").first().cast(pl.Float64).round(4),
        (pl.col("place_id").n_unique() - 1).alias("other_places"),
    )
