"""What the answers are worth, and why the wrong ones are wrong.  Only this module reads truth."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from lakeflow.demo.normal_forms import ascii_names

# Below this Jaro-Winkler similarity an alias has nothing in common with a name.
RELATED = 0.7
EXAMPLES = 6

# Similarity of failed aliases to the names of their true place, and of its rivals in the pairs.
OWN_SIMILARITY = """
    SELECT f.alias_id, max(jaro_winkler_similarity(f.ascii, n.ascii)) AS own,
           arg_max(n.name, jaro_winkler_similarity(f.ascii, n.ascii)) AS closest
    FROM failed f JOIN known n ON n.place_id = f.true_place GROUP BY ALL
"""
RIVAL_SIMILARITY = """
    SELECT p.alias_id,
           coalesce(bool_or(n.place_id = f.true_place), false) AS paired,
           coalesce(max(jaro_winkler_similarity(f.ascii, n.ascii))
                    FILTER (n.place_id <> f.true_place), 0) AS rival
    FROM pairs p JOIN failed f USING (alias_id) JOIN known n USING (name_id) GROUP BY ALL
"""


def metrics(predicted: pl.DataFrame, truth: pa.Table, threshold: float) -> dict[str, float]:
    """Precision, recall and F1 of the answers at or above the threshold."""
    judged = predicted.filter(pl.col("score") >= threshold).join(pl.DataFrame(truth), on="alias_id", suffix="_true")
    right = int((judged["place_id"] == judged["place_id_true"]).sum())
    precision, recall = right / max(judged.height, 1), right / truth.num_rows
    return {
        "answers": judged.height,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
    }


def best_f1(predicted: pl.DataFrame, truth: pa.Table) -> dict[str, float]:
    """For research: the F1 of the best threshold there is, chosen with the truth."""
    judged = predicted.join(pl.DataFrame(truth), on="alias_id", suffix="_true").sort("score", descending=True)
    right = (judged["place_id"] == judged["place_id_true"]).cum_sum()
    f1 = 2 * right / (judged.select(pl.row_index() + 1).to_series() + truth.num_rows)
    at = f1.arg_max() or 0
    return {"f1": float(f1[at]), "threshold": float(judged["score"][at])}


def blocking_recall(pairs: pa.Table, names: pa.Table, truth: pa.Table) -> float:
    """Share of aliases paired with a name of their true place."""
    with duckdb.connect() as connection:
        for key, table in (("pairs", pairs), ("names", names), ("truth", truth)):
            connection.register(key, table)
        found: list[Any] = connection.execute(
            "SELECT count(DISTINCT p.alias_id) FROM pairs p JOIN names n USING (name_id)"
            " JOIN truth t ON t.alias_id = p.alias_id AND t.place_id = n.place_id"
        ).fetchall()
    recall: float = found[0][0] / truth.num_rows
    return recall


def failures(
    predicted: pl.DataFrame,
    pairs: pa.Table,
    tables: dict[str, pa.Table],
    plain: pa.Table,
    threshold: float,
) -> pl.DataFrame:
    """Every alias without its right answer, with its category; `plain`: name_id, ascii."""
    aliases, truth, names = (pl.DataFrame(tables[key]) for key in ("aliases", "truth", "names"))
    answers = predicted.rename({"place_id": "guess"})
    failed = (
        truth.rename({"place_id": "true_place"})
        .join(answers, on="alias_id", how="left")
        .filter(((pl.col("score") >= threshold) & (pl.col("guess") == pl.col("true_place"))).fill_null(False).not_())
        .join(aliases, on="alias_id")
        .with_columns(ascii_names(pl.col("alias")).alias("ascii"))
    )
    known = names.join(pl.DataFrame(plain), on="name_id")
    with duckdb.connect() as connection:
        for key, table in (("failed", failed), ("known", known)):
            connection.register(key, table.to_arrow())
        connection.register("pairs", pairs)
        own = pl.DataFrame(connection.sql(OWN_SIMILARITY).to_arrow_table())
        rival = pl.DataFrame(connection.sql(RIVAL_SIMILARITY).to_arrow_table())
    failed = failed.join(own, on="alias_id", how="left").join(rival, on="alias_id", how="left")
    failed = failed.with_columns(pl.col("paired").fill_null(False), pl.col("rival").fill_null(0.0))
    return failed.with_columns(_category(threshold).alias("category"), _given(threshold).alias("answered"))


def _given(threshold: float) -> pl.Expr:
    return (pl.col("score") >= threshold).fill_null(False)


def _category(threshold: float) -> pl.Expr:
    """The first category that holds."""
    related = pl.col("own") >= RELATED
    right = (pl.col("guess") == pl.col("true_place")).fill_null(False)
    return (
        pl.when(~pl.col("paired") & ~related)
        .then(pl.lit("a1 unrelated name, no pair"))
        .when(~pl.col("paired"))
        .then(pl.lit("b similar name, no pair"))
        .when(right & ~_given(threshold))
        .then(pl.lit("d right but below threshold"))
        .when(~related)
        .then(pl.lit("a2 unrelated name, paired"))
        .when(pl.col("rival") >= pl.col("own"))
        .then(pl.lit("c homonym: a rival at least as similar"))
        .otherwise(pl.lit("e other"))
    )


def summary(failed: pl.DataFrame, places: pa.Table) -> dict[str, Any]:
    """Counts of the categories (wrong answer, no answer) and a few examples of each."""
    names = pl.DataFrame(places).select("place_id", "name")
    told = failed.join(names.rename({"place_id": "guess", "name": "guessed"}), on="guess", how="left").sort("alias_id")
    report: dict[str, Any] = {}
    for (category,), group in told.group_by("category"):
        wrong = int(group["answered"].sum())
        shown = group.head(EXAMPLES).select("alias", "closest", "own", "guessed", "score", "country")
        report[str(category)] = {
            "wrong": wrong,
            "missed": group.height - wrong,
            "examples": [" | ".join(_cell(value) for value in row) for row in shown.rows()],
        }
    return dict(sorted(report.items()))


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
