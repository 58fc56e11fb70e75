"""A DuckDB relation over a scan: DuckDB's own answer, from as little as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_engines.frames import lazy_duckdb
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import lakeflow as lf

VALUES: dict[str, st.SearchStrategy[str]] = {
    "i": st.integers(-35, 40).map(str),
    "n": st.integers(-35, 40).map(str),
    "f": st.sampled_from(["0", "-0.0", "2.5", "5.25", "'nan'::double", "'inf'::double"]),
    "g": st.sampled_from(["0::float", "2.5::float", "0.1::float", "'nan'::float"]),
    "s": st.sampled_from(["''", "'a'", "'aa1'", "'bb11'", "'cc'", "'zz'"]),
    "d": st.dates().map(lambda day: f"date '2020-01-{day.day:02d}'"),
    "t": st.dates().map(lambda day: f"timestamptz '2020-01-{day.day:02d} 00:00:00+00'"),
    "u": st.dates().map(lambda day: f"timestamp '2020-01-{day.day:02d} 00:00:00'"),
    "c": st.integers(-35, 40).map(lambda x: f"{x}.25"),
}


@st.composite
def atoms(draw: st.DrawFn) -> str:
    """One test of one column."""
    name = draw(st.sampled_from(sorted(VALUES)))
    value = VALUES[name]
    kind = draw(st.sampled_from(["compare", "in", "between", "null", "other"]))
    if kind == "compare":
        return f"{name} {draw(st.sampled_from(['=', '<>', '<', '<=', '>', '>=']))} {draw(value)}"
    if kind == "in":
        return f"{name} in ({', '.join(draw(st.lists(value | st.just('null'), min_size=1, max_size=4)))})"
    if kind == "between":
        return f"{name} between {draw(value)} and {draw(value)}"
    if kind == "null":
        return f"{name} is {draw(st.sampled_from(['null', 'not null']))}"
    return draw(st.sampled_from(["i % 2 = 0", "s like 'b%'", "b", "not b", "i > f", "starts_with(s, 'cc')"]))


PREDICATES = st.recursive(
    atoms(),
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | inner.map("(not {})".format)
    ),
    max_leaves=5,
)


def test_a_filter_gives_the_rows_that_duckdb_itself_would_keep(mixed: lf.Table) -> None:
    """Any predicate, over nulls and NaNs: as over the same rows in memory."""
    connection = duckdb.connect()
    lazy = mixed.scan().to_duckdb(connection)
    everything = mixed.scan().read().to_arrow()

    @given(PREDICATES)
    def check(predicate: str) -> None:
        expected = connection.from_arrow(everything).filter(predicate).project("row").fetchall()
        assert sorted(expected) == sorted(lazy.filter(predicate).project("row").fetchall())

    check()


@pytest.mark.parametrize(
    ("where", "columns", "files"),
    [
        ("i > 30", ["i", "row"], 1),
        ("s = 'bb11'", ["row", "s"], 1),
        ("i in (11, 21)", ["i", "row"], 2),
        ("d between date '2020-01-16' and date '2020-01-19'", ["d", "row"], 1),
        ("t = timestamptz '2020-01-22 00:00:00+00'", ["row", "t"], 1),
        ("c = 2.75", ["c", "row"], 1),
        ("not (i < 37)", ["i", "row"], 1),
        ("i > 30 and s like '%7'", ["i", "row", "s"], 1),
        ("s is not null and (i = 11 or i = 37)", ["i", "row", "s"], 2),
        ("b", ["b", "row"], 6),
    ],
)
def test_a_query_reads_what_it_needs(
    mixed: lf.Table, recorder: Any, where: str, columns: list[str], files: int
) -> None:
    """Columns and filters reach the scan; a filter's column is read though it isn't projected."""
    source = recorder(mixed.scan())

    lazy_duckdb(source).filter(where).project("row").fetchall()

    assert [(sorted(read["columns"]), read["files"]) for read in source.reads] == [(columns, files)]


def test_a_relation_is_read_as_often_as_it_is_asked(mixed: lf.Table) -> None:
    """Two queries, a join with itself, a count, and SQL beside other relations of the connection."""
    connection = duckdb.connect()
    rows = mixed.scan().to_duckdb(connection)
    names = connection.from_arrow(pa.table({"row": [1, 2], "name": ["one", "two"]}))

    assert rows.count("*").fetchall() == rows.count("*").fetchall() == [(36,)]
    assert rows.set_alias("a").join(rows.set_alias("b"), "a.row = b.row").count("*").fetchall() == [(36,)]
    assert connection.sql("select name from rows join names using (row) order by 1").fetchall() == [("one",), ("two",)]
    assert names.count("*").fetchall() == [(2,)]


def test_a_relation_without_a_connection_has_its_own(mixed: lf.Table) -> None:
    """And lives as long as the relation does."""
    assert mixed.scan(columns=["row"]).to_duckdb().max("row").fetchall() == [(35,)]


def test_a_query_that_has_enough_lets_go(mixed: lf.Table, recorder: Any) -> None:
    """When DuckDB stops early, the scan's iterator is closed with the result."""
    source = recorder(mixed.scan())

    lazy_duckdb(source).limit(1).fetchall()

    assert source.closed.wait(60)
    assert not source.exhausted.is_set()


def test_what_goes_wrong_carries_our_message(mixed: lf.Table, tmp_path: Path) -> None:
    """DuckDB raises an exception of its own, in which the file is named."""
    relation = mixed.scan().to_duckdb()
    lost = next(tmp_path.rglob("*.parquet"))
    lost.unlink()

    with pytest.raises(duckdb.Error, match=lost.name):
        relation.fetchall()


def test_what_is_no_connection_is_refused(mixed: lf.Table) -> None:
    """The message shows it."""
    with pytest.raises(InputError, match=r"'file\.db'"):
        mixed.scan().to_duckdb("file.db")  # type: ignore[arg-type]


def test_a_closed_connection_is_refused(mixed: lf.Table) -> None:
    """By our own error."""
    connection = duckdb.connect()
    connection.close()

    with pytest.raises(InputError, match="connection"):
        mixed.scan().to_duckdb(connection)
