"""What the matches are worth, and why the wrong ones are wrong. Only this module reads the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from lakeflow.demo.normal_forms import ascii_names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Evaluation", "Failure", "evaluate"]

# Below this Jaro-Winkler similarity an alias has nothing in common with a name.
RELATED = 0.7
EXAMPLES = 3

_BLOCKED = """
    SELECT count(DISTINCT p.alias_id) FROM pairs p JOIN names n USING (name_id)
    JOIN truth t ON t.alias_id = p.alias_id AND t.place_id = n.place_id
"""
# How like the closest known name of its true place a failed alias is, and the closest rival it was paired with.
_OWN = """
    SELECT f.alias_id, max(jaro_winkler_similarity(f.ascii, n.ascii)) AS own
    FROM failed f JOIN names n ON n.place_id = f.true_place GROUP BY ALL
"""
_RIVAL = """
    SELECT p.alias_id, coalesce(bool_or(n.place_id = f.true_place), false) AS paired,
           coalesce(max(jaro_winkler_similarity(f.ascii, n.ascii)) FILTER (n.place_id <> f.true_place), 0) AS rival
    FROM pairs p JOIN failed f USING (alias_id) JOIN names n USING (name_id) GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """One way of going wrong: how often, and a few examples."""

    kind: str
    wrong: int
    """Aliases that got another place."""
    missed: int
    """Aliases that got none."""
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures over all aliases."""

    blocking_recall: float
    """Share of aliases paired with a name of their true place."""
    matches: int
    precision: float
    recall: float
    f1: float
    failures: list[Failure]


def evaluate(pairs: pa.Table, matches: pa.Table, names: pa.Table, aliases: pa.Table, truth: pa.Table) -> Evaluation:
    """Compare `kg.matches` with `kg.truth`.

    Args:
        pairs: alias_id, name_id.
        matches: alias_id, place_id.
        names: name_id, place_id, name.
        aliases: alias_id, alias, country.
        truth: alias_id, place_id.
    """
    judged = (
        pl.DataFrame(truth)
        .rename({"place_id": "true_place"})
        .join(pl.DataFrame(matches).select("alias_id", "place_id"), on="alias_id", how="left")
    )
    right = judged.filter(pl.col("place_id") == pl.col("true_place")).height
    precision, recall = right / max(1, matches.num_rows), right / max(1, truth.num_rows)
    failed = judged.filter(pl.col("place_id").ne_missing(pl.col("true_place"))).join(
        pl.DataFrame(aliases), on="alias_id"
    )
    with duckdb.connect() as connection:
        folded = pl.DataFrame(names).with_columns(ascii_names(pl.col("name")).alias("ascii"))
        connection.register("names", folded.to_arrow())
        connection.register("failed", failed.with_columns(ascii_names(pl.col("alias")).alias("ascii")).to_arrow())
        for name, table in (("pairs", pairs), ("truth", truth)):
            connection.register(name, table)
        blocked: Any = connection.execute(_BLOCKED).fetchall()
        own, rival = (pl.DataFrame(connection.sql(query).to_arrow_table()) for query in (_OWN, _RIVAL))
    explained = failed.join(own, on="alias_id", how="left").join(rival, on="alias_id", how="left")
    return Evaluation(
        blocking_recall=blocked[0][0] / max(1, truth.num_rows),
        matches=matches.num_rows,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(precision + recall, 1e-9),
        failures=_failures(explained, names),
    )


def _failures(explained: pl.DataFrame, names: pa.Table) -> list[Failure]:
    main = pl.DataFrame(names).sort("name_id").unique("place_id", keep="first").select("place_id", "name")
    told = (
        explained.with_columns(kind=_kind(), answered=pl.col("place_id").is_not_null())
        .join(main.rename({"place_id": "true_place", "name": "truly"}), on="true_place", how="left")
        .join(main.rename({"name": "guessed"}), on="place_id", how="left")
        .sort("kind", "alias_id")
    )
    return [
        Failure(
            kind=str(kind),
            wrong=int(group["answered"].sum()),
            missed=int((~group["answered"]).sum()),
            examples=[
                f"{alias} ({country}) is {truly}, not {guessed}" if guessed else f"{alias} ({country}) is {truly}"
                for alias, country, truly, guessed in group.select("alias", "country", "truly", "guessed")
                .head(EXAMPLES)
                .rows()
            ],
        )
        for (kind,), group in told.group_by("kind", maintain_order=True)
    ]


def _kind() -> pl.Expr:
    """The first that holds."""
    related, paired = pl.col("own") >= RELATED, pl.col("paired").fill_null(value=False)
    return (
        pl.when(~related)
        .then(pl.lit("shares nothing with a known name"))
        .when(~paired)
        .then(pl.lit("never paired with its place"))
        .when(pl.col("place_id").is_null())
        .then(pl.lit("below the threshold"))
        .when(pl.col("rival") >= pl.col("own"))
        .then(pl.lit("homonym in the region"))
        .otherwise(pl.lit("another place scored higher"))
    )
