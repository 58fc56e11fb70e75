"""Engines' filters as Iceberg predicates: what is certain, weaker where engines differ, else nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.expressions.parser import parse
from pyiceberg.expressions.visitors import bind

from lakeflow_engines.frames.arrow_condition import arrow_condition
from lakeflow_engines.frames.condition import Both, Compare, Either, Unknown, weaker
from lakeflow_engines.frames.polars_condition import polars_condition
from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.iceberg.literals import exact_decimals

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("g", pa.float32()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("d", pa.date32()),
        ("c", pa.decimal128(9, 2)),
        ("l", pa.list_(pa.int64())),
    ]
)
N, F, S = pl.col("i"), pl.col("f"), pl.col("s")
AI, AF = pc.field("i"), pc.field("f")
NULL = pa.scalar(None, pa.bool_())


BOUND_TO = fresh_schema(SCHEMA, 2)


def shown(predicate: Any) -> str | None:
    """A predicate as one reads it, its literals in the columns' types."""
    return None if predicate is None else str(bind(BOUND_TO, exact_decimals(predicate, BOUND_TO), case_sensitive=True))


def iceberg(where: str | None) -> str | None:
    """The same of a text."""
    return None if where is None else shown(parse(where))


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (N > 1, "i > 1"),
        (pl.lit(1) < N, "i > 1"),
        (~(N > 1), "i <= 1"),
        ((N > 1) & (S == "a"), "i > 1 and s = 'a'"),
        ((N > 1) | (S == "a"), "i > 1 or s = 'a'"),
        (~((N > 1) & (S == "a")), "i <= 1 or s != 'a'"),
        ((N > 1) & (N % 2 == 0), "i > 1"),
        ((N > 1) | (N % 2 == 0), None),
        (F < 1.5, "f < 1.5"),
        (F > 1.5, "f > 1.5 or f is nan"),
        (~(F < 1.5), "f >= 1.5 or f is nan"),
        (F.eq(float("nan")), None),
        (F.is_in([1.5, 2.5]), "f >= 1.5 and f <= 2.5"),
        (pl.col("g") < 0.1, None),
        (pl.col("g") < 0.5, "g < 0.5"),
        (N.is_null(), "i is null"),
        (N.is_not_null(), "i is not null"),
        (~N.is_null(), "i is not null"),
        (N.is_in([1, 2, None]), "i in (1, 2)"),
        (~N.is_in([1, 2]), "i not in (1, 2) and i is not null"),
        (N.is_in([1, 2], nulls_equal=True), None),
        (N.is_between(1, 5, closed="left"), "i >= 1 and i < 5"),
        (S.str.starts_with("a"), "s like 'a%'"),
        (~S.str.starts_with("a"), "s is not null"),
        (S.str.ends_with("a"), None),
        (pl.col("b"), "b = true"),
        (N.eq_missing(1), None),
        (pl.col("l").is_null(), None),
        (pl.col("nope") == 1, None),
        (N == "text", None),
        (pl.col("c") > Decimal("1.255"), "c > 1.25"),
        (N > F, None),
    ],
    ids=str,
)
def test_a_polars_expression(predicate: pl.Expr, expected: str | None) -> None:
    """Comparisons of columns with literals; NaN is let through, nulls are not."""
    assert iceberg(expected) == shown(weaker(polars_condition(predicate), SCHEMA))


@pytest.mark.parametrize(
    ("predicate", "says"),
    [
        (pl.col("c") > Decimal("1.25"), "DecimalLiteral(Decimal('1.25'))"),
        (pl.col("d") == date(2020, 1, 1), "DateLiteral(18262)"),
        (pl.col("g") < 0.5, "DoubleLiteral(0.5)"),
    ],
)
def test_a_literal_keeps_its_type(predicate: pl.Expr, says: str) -> None:
    """What can't be written in a filter's text."""
    assert says in str(weaker(polars_condition(predicate), SCHEMA))


@pytest.mark.parametrize(
    ("predicate", "expected", "columns"),
    [
        (AI > 1, "i > 1", ["i"]),
        ((AI > 1) & (pc.field("s") == "a"), "i > 1 and s = 'a'", ["i", "s"]),
        (~(AI > 1) | AI.is_null(), "i <= 1 or i is null", ["i"]),
        (AI.is_valid(), "i is not null", ["i"]),
        (AF >= 1.5, "f >= 1.5 or f is nan", ["f"]),
        (pc.if_else(AI.is_valid(), AI.isin([1, 2]), NULL), "i in (1, 2)", ["i"]),
        (~pc.if_else(AI.is_valid(), AI.isin([1, 2]), NULL), "i not in (1, 2) and i is not null", ["i"]),
        (pc.if_else(AF.is_valid(), AI.isin([1, 2]), NULL), None, ["f", "i"]),
        (~AI.isin([1, 2]), None, ["i"]),
        (pc.field("b") & (AI < 3), "b = true and i < 3", ["b", "i"]),
        (AI + 1 > 2, None, ["i"]),
        (AI > AF, None, ["i", "f"]),
        (pc.field("city", "name") == "Ulm", None, None),
        (pc.field(0) == 1, None, None),
    ],
    ids=str,
)
def test_an_arrow_expression(predicate: pc.Expression, expected: str | None, columns: list[str] | None) -> None:
    """The same, and the columns it looks at; None where they can't be told."""
    condition, named = arrow_condition(predicate)

    assert columns == named
    assert iceberg(expected) == shown(weaker(condition, SCHEMA))


@pytest.mark.parametrize(("join", "count"), [("and", 2000), ("or", 2000), ("both", 500)])
def test_long_filters_are_no_deeper_than_short_ones(join: str, count: int) -> None:
    """Engines chain what people generate: each term prunes, however many there are."""
    chain: Any = Unknown()
    for number in range(count):
        term: Any = Compare("i", "!=" if join == "and" else "==", number)
        if join == "both":
            term = Both(Compare("i", ">", number), Compare("i", "<", number + 2))
        chain = term if number == 0 else (Both if join == "and" else Either)(chain, term)

    assert bind(BOUND_TO, weaker(chain, SCHEMA), case_sensitive=True) is not None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal(1), "c > 1.00"),
        (Decimal("0.5"), "c > 0.50"),
        (Decimal("2.75"), "c > 2.75"),
        (Decimal("-3E+2"), "c > -300.00"),
        (Decimal("0.125"), "c > 0.12"),
        (7, "c > 7.00"),
        (True, None),
        (0.5, None),
        (Decimal("NaN"), None),
    ],
)
def test_decimals_of_another_scale_are_compared_exactly(value: Any, expected: str | None) -> None:
    """A number with fewer decimals is the same number; above one with more lies what is above the next lower one."""
    assert shown(weaker(Compare("c", ">", value), SCHEMA)) == iceberg(expected)
