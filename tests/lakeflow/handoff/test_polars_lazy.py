"""A LazyFrame over a scan: Polars' own answer, from as little as it takes."""

from __future__ import annotations

import io
import operator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lakeflow_engines.frames import lazy_polars
from lakeflow_io.errors import ObjectNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    import lakeflow as lf

NAN = float("nan")
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
NUMBERS = st.integers(-35, 40)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": NUMBERS | st.just(2**62),
    "n": NUMBERS,
    "f": NUMBERS.map(lambda x: x / 4) | st.sampled_from([NAN, float("inf"), -0.0, 0.1]),
    "g": NUMBERS.map(lambda x: x / 4) | st.sampled_from([NAN, float("-inf"), -0.0, 0.1, 1e300]),
    "s": st.sampled_from(["", "a", "aa1", "bb", "bb11", "cc20", "dd", "zz"]),
    "d": st.dates(date(2019, 12, 1), date(2020, 2, 10)),
    "t": st.datetimes(datetime(2019, 12, 1), datetime(2020, 2, 10), timezones=st.just(UTC)),  # noqa: DTZ001
    "u": st.datetimes(datetime(2019, 12, 1), datetime(2020, 2, 10)),  # noqa: DTZ001
    "c": NUMBERS.map(lambda x: Decimal(x) / 4) | st.just(Decimal("0.125")),
    "b": st.booleans(),
}


@st.composite
def atoms(draw: st.DrawFn) -> pl.Expr:
    """One test of one column, or something that nobody translates."""
    name = draw(st.sampled_from(sorted(VALUES)))
    column, value = pl.col(name), VALUES[name]
    kind = draw(st.sampled_from(["compare", "mirrored", "in", "between", "null", "text", "other"]))
    if kind == "compare":
        return draw(st.sampled_from(COMPARISONS))(column, draw(value | st.none().map(lambda _: pl.lit(None))))
    if kind == "mirrored":
        return draw(st.sampled_from(COMPARISONS))(pl.lit(draw(value)), column)
    if kind == "in":
        values = draw(st.lists(value | st.none(), min_size=1, max_size=4))
        typed = pl.Series(values, dtype=pl.Float64) if name == "f" else values
        return column.is_in(typed, nulls_equal=draw(st.booleans()))
    if kind == "between":
        return column.is_between(
            draw(value), draw(value), closed=draw(st.sampled_from(["both", "left", "right", "none"]))
        )
    if kind == "null":
        return draw(st.sampled_from([column.is_null(), column.is_not_null(), column.eq_missing(draw(value))]))
    if kind == "text":
        return pl.col("s").str.starts_with(draw(VALUES["s"]))
    return draw(
        st.sampled_from(
            [
                pl.col("i") % 2 == 0,
                pl.col("f").is_nan(),
                pl.col("i") > pl.col("f"),
                pl.col("b"),
                pl.col("l").list.len() > 0,
            ]
        )
    )


PREDICATES = st.recursive(
    atoms(),
    lambda inner: (
        st.builds(operator.and_, inner, inner) | st.builds(operator.or_, inner, inner) | inner.map(operator.inv)
    ),
    max_leaves=5,
)


def test_a_filter_gives_the_rows_that_polars_itself_would_keep(mixed: lf.Table) -> None:
    """Any predicate, over nulls and NaNs and zeros of both signs, on both of Polars' engines."""
    lazy, everything = mixed.scan().to_polars_lazy(), mixed.scan().to_polars()

    @given(PREDICATES, st.sampled_from(["in-memory", "streaming"]))
    def check(predicate: pl.Expr, engine: Any) -> None:
        try:
            expected = everything.filter(predicate)
        except pl.exceptions.PolarsError as refused:
            with pytest.raises(type(refused)):
                lazy.filter(predicate).collect(engine=engine)
            return
        assert_frame_equal(expected, lazy.filter(predicate).collect(engine=engine))

    check()


@pytest.mark.parametrize(
    ("predicate", "columns", "files"),
    [
        (pl.lit(True), ["s"], 6),  # noqa: FBT003
        (pl.col("i") > 30, ["i", "s"], 1),
        (pl.col("s") == "bb11", ["s"], 1),
        (pl.col("i").is_in([11, 21]), ["i", "s"], 2),
        (pl.col("s").str.starts_with("cc"), ["s"], 1),
        (pl.col("d").is_between(date(2020, 1, 16), date(2020, 1, 19)), ["d", "s"], 1),
        (pl.col("t") == datetime(2020, 1, 22, tzinfo=UTC), ["s", "t"], 1),
        (pl.col("c") == Decimal("2.75"), ["c", "s"], 1),
        (~(pl.col("i") < 37), ["i", "s"], 1),
        ((pl.col("i") % 2 == 0) & (pl.col("i") > 30), ["i", "s"], 1),
        ((pl.col("i") % 2 == 0) | (pl.col("i") > 30), ["i", "s"], 6),
    ],
)
def test_a_query_reads_what_it_needs(
    mixed: lf.Table, recorder: Any, predicate: pl.Expr, columns: list[str], files: int
) -> None:
    """Columns and filters reach the scan, as far as they compare columns with literals."""
    source = recorder(mixed.scan())

    lazy_polars(source).filter(predicate).select("s").collect()

    assert [(sorted(read["columns"]), read["files"]) for read in source.reads] == [(columns, files)]


def test_a_limit_reaches_the_scan(mixed: lf.Table, recorder: Any) -> None:
    """With the columns."""
    source = recorder(mixed.scan())

    lazy_polars(source).select("i").head(3).collect()

    assert source.reads == [{"columns": ["i"], "files": 6, "limit": 3}]


def test_the_schema_is_known_without_reading(mixed: lf.Table, recorder: Any) -> None:
    """As Polars would see the rows."""
    source = recorder(mixed.scan())

    assert mixed.scan().to_polars().schema == lazy_polars(source).collect_schema()
    assert source.reads == []


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("n", [0, 1, 5, 100])
def test_a_limit_is_exact(mixed: lf.Table, n: int, engine: Any) -> None:
    """With and without a filter."""
    lazy, everything = mixed.scan().to_polars_lazy(), mixed.scan().to_polars()

    assert everything.head(n).height == lazy.head(n).collect(engine=engine).height
    assert everything.filter(pl.col("i") >= 20).head(n).height == (
        lazy.filter(pl.col("i") >= 20).head(n).collect(engine=engine).height
    )


def test_a_scan_that_is_narrow_already_stays_so(mixed: lf.Table) -> None:
    """Columns, filter and limit of the scan hold beneath the query's own."""
    lazy = mixed.scan(columns=["i", "s"], where="i >= 10").limit(3).to_polars_lazy()

    found = lazy.collect()
    assert lazy.collect_schema().names() == found.columns == ["i", "s"]
    assert found.rows() == mixed.scan(columns=["i", "s"], where="i >= 10").to_polars().head(3).rows()


def test_a_query_that_has_enough_lets_go(mixed: lf.Table, recorder: Any) -> None:
    """When Polars stops early, the scan's iterator is closed."""
    source = recorder(mixed.scan())

    found = lazy_polars(source).filter(pl.col("row") >= 0).head(1).collect(engine="streaming")

    # What Polars' threads drop without the GIL, Polars releases when it is next called from Python.
    assert any(found.height and source.closed.wait(0.05) for _ in range(1000))
    assert not source.exhausted.is_set()


def test_a_query_joins_its_own_scan(mixed: lf.Table) -> None:
    """The source can be read twice in one query, and again in the next."""
    lazy = mixed.scan().to_polars_lazy()
    joined = lazy.select("row", "i").join(lazy.filter(pl.col("i") > 30).select("row"), on="row")

    assert joined.collect().height == joined.collect().height == 5


def test_a_lazy_frame_travels(mixed: lf.Table) -> None:
    """Serialised, it takes the plan of the pinned snapshot with it."""
    lazy = mixed.scan().to_polars_lazy().filter(pl.col("i") > 30)
    mixed.append(mixed.scan().read())

    again = pl.LazyFrame.deserialize(io.BytesIO(lazy.serialize()))

    assert_frame_equal(lazy.collect(), again.collect())


def test_a_table_without_rows_is_a_frame_without_rows(embedded: lf.Lake, namespace: str, mixed: lf.Table) -> None:
    """Also behind a filter."""
    lazy = embedded.create_table(f"{namespace}.none", mixed.schema).scan().to_polars_lazy()

    assert lazy.collect().schema == lazy.filter(pl.col("i") > 1).collect().schema == mixed.scan().to_polars().schema


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_what_goes_wrong_is_of_our_tree(mixed: lf.Table, tmp_path: Path, engine: Any) -> None:
    """`collect` raises what `batches` would."""
    lazy = mixed.scan().to_polars_lazy()
    next(tmp_path.rglob("*.parquet")).unlink()

    with pytest.raises(ObjectNotFoundError):
        lazy.collect(engine=engine)
