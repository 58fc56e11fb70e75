"""Rows in memory, handed to any library."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_io.errors import FilterError

DATA = pa.table({"id": [1, 2, 3], "name": ["a", None, "c"]})
FRAME = lf.DataFrame(DATA)


def test_any_library_takes_it() -> None:
    """Through its own method and through the Arrow stream, the rows are the same."""
    rows = DATA.to_pylist()

    assert rows == FRAME.to_pylist() == FRAME.to_polars().to_dicts() == pl.DataFrame(FRAME).to_dicts()
    assert rows == pa.table(FRAME).to_pylist() == FRAME.to_duckdb().to_arrow_table().to_pylist()
    assert FRAME.to_pandas()["id"].tolist() == [1, 2, 3]
    assert FRAME.to_arrow() is DATA


def test_it_tells_what_it_is() -> None:
    """Length, schema, bytes and a repr on one line."""
    assert (3, DATA.schema, DATA.nbytes) == (len(FRAME), FRAME.schema, FRAME.nbytes)
    assert repr(FRAME) == "DataFrame(3 rows; id: int64, name: string)"


def test_sql_calls_the_rows_df() -> None:
    """A query's result is a DataFrame again."""
    found = FRAME.sql("select name, id * 2 as twice from df where id > 1 order by id desc")

    assert found.to_pylist() == [{"name": "c", "twice": 6}, {"name": None, "twice": 4}]


@pytest.mark.parametrize(
    "query", ["selec 1", "select nope from df", "select * from elsewhere", "", "select 'x'::int from df"]
)
def test_a_query_that_fails_is_a_filter_error(query: str) -> None:
    """Syntax, names and casts; the hint says what the rows are called."""
    with pytest.raises(FilterError, match="query failed") as caught:
        FRAME.sql(query)

    assert "`df`" in str(caught.value.hint)


def test_a_query_sees_no_variable_of_the_caller() -> None:
    """DuckDB's habit of finding frames in Python's variables is not ours."""
    nearby = DATA  # noqa: F841  (DuckDB would look it up by name)

    with pytest.raises(FilterError):
        FRAME.sql("select * from nearby")
