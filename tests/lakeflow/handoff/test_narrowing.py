"""A scan gets narrower, never another: columns, filters and limits of the same snapshot."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.limited import first_rows
from lakeflow_io.errors import FilterError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import lakeflow as lf


def test_columns_come_in_the_order_asked_for(mixed: lf.Table) -> None:
    """One name or many, each once."""
    scan = mixed.scan()

    assert scan.select(["s", "i", "s"]).read().schema.names == ["s", "i"]
    assert scan.select("s").schema == pa.schema([("s", pa.string())])
    assert scan.schema.names == mixed.schema.names


def test_filters_add_up(mixed: lf.Table) -> None:
    """Each may name any column of the table; together they are one filter."""
    narrowed = mixed.scan(columns=["row"], where="i >= 10").where("i < 20").select("row").where("s = 'bb13'")

    at_once = mixed.scan(columns=["row"], where="i >= 10 and i < 20 and s = 'bb13'")
    assert narrowed.read().to_pylist() == at_once.read().to_pylist() == [{"row": 11}]


def test_a_narrower_scan_is_pinned_to_the_same_snapshot(mixed: lf.Table) -> None:
    """What was appended since isn't seen, whenever the files are planned."""
    scan = mixed.scan()
    mixed.append(scan.read())

    assert len(scan.select("i").where("row >= 0").read()) == len(scan.limit(100).read()) == 36


def test_a_scan_travels_with_its_plan(mixed: lf.Table) -> None:
    """A copy from a pickle reads and narrows as the scan does, without the catalog."""
    scan = mixed.scan(columns=["row", "s"], where="i > 10").limit(5)

    copy = pickle.loads(pickle.dumps(scan))
    filtered = pickle.loads(pickle.dumps(mixed.scan(columns=["row"]))).where("i > 30")

    assert scan.read().to_pylist() == copy.read().to_pylist()
    assert sorted(filtered.read().to_arrow()["row"].to_pylist()) == [25, 27, 28, 29, 31]


@pytest.mark.parametrize("where", [None, "i >= 10"])
@pytest.mark.parametrize("n", [0, 1, 9, 24, 36, 100])
def test_a_limit_takes_the_first_rows(mixed: lf.Table, where: str | None, n: int) -> None:
    """As many as there are, in the scan's order; the smaller limit holds."""
    scan = mixed.scan(columns=["row"], where=where)

    expected = scan.read().to_pylist()[:n]

    assert expected == scan.limit(n).read().to_pylist() == scan.limit(n).limit(200).read().to_pylist()


@dataclass
class Piece:
    """What `first_rows` looks at."""

    rows: int
    kept: int


@given(
    st.lists(st.builds(Piece, st.integers(1, 20), st.integers(0, 20)), max_size=12), st.integers(0, 100), st.booleans()
)
def test_a_limit_reads_little_more_than_it_must(pieces: list[Any], n: int, filtered: bool) -> None:  # noqa: FBT001
    """Without a filter no piece too many, and the last one a row group at a time; with one, twice as many and one."""
    for piece in pieces:
        piece.kept = min(piece.kept, piece.rows) if filtered else piece.rows
    opened: list[Any] = []

    def read(run: list[Any], *, memory: int | None) -> Iterator[pa.RecordBatch]:
        opened.extend((piece, memory) for piece in run)
        for piece in run:
            yield pa.record_batch({"x": pa.array(range(piece.kept), pa.int64())})

    found = sum(batch.num_rows for batch in first_rows(read, pieces, n, 64, filtered=filtered))

    needed = next((k for k in range(len(pieces) + 1) if sum(piece.kept for piece in pieces[:k]) >= n), len(pieces))
    assert found == min(n, sum(piece.kept for piece in pieces))
    assert len(opened) <= (2 * needed + 1 if filtered else needed)
    assert all(memory == 1 for piece, memory in opened[:1] if filtered or piece.rows > n)


@pytest.mark.parametrize("n", [-1, 2.5, "3", None, True])
def test_a_limit_is_a_count(mixed: lf.Table, n: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InputError):
        mixed.scan().limit(n)


def test_what_can_not_follow_a_limit_is_refused(mixed: lf.Table) -> None:
    """A filter would have to come before it, and shards would each have their own."""
    limited = mixed.scan().limit(3)

    for call in (lambda: limited.where("i > 1"), limited.shards, limited.to_dask, limited.to_dask_bag):
        with pytest.raises(InputError, match="limit 3"):
            call()


@pytest.mark.parametrize("columns", [[], 5, ["nope"], "nope", ["row", "city"]])
def test_columns_that_are_not_there_are_named(mixed: lf.Table, columns: Any) -> None:
    """None at all, no names, and names that the scan doesn't have."""
    with pytest.raises(InputError):
        mixed.scan().select(columns)
    with pytest.raises(NotFoundError):
        mixed.scan(columns=["row"]).select("i")


def test_a_filter_that_does_not_fit_is_refused(mixed: lf.Table) -> None:
    """When it is given, not when it is read."""
    with pytest.raises(FilterError):
        mixed.scan().where("i > 'text'")
    with pytest.raises(NotFoundError):
        mixed.scan().where("nope > 1")


def test_a_limit_may_be_any_integer(mixed: lf.Table) -> None:
    """numpy's, and one that is larger than anything."""
    assert len(mixed.scan().limit(np.int64(3)).read()) == 3
    assert len(mixed.scan().limit(2**70).read()) == 36


def test_a_report_is_of_the_last_pass_over_any_part(mixed: lf.Table) -> None:
    """Also of one that a query on a LazyFrame or a relation made."""
    scan = mixed.scan()
    with pytest.raises(InputError):
        scan.report()

    scan.to_polars_lazy().filter(pl.col("row") == 3).collect()
    assert (scan.report().files, scan.report().rows) == (1, 1)
    scan.to_duckdb().filter("row < 2").fetchall()
    assert scan.report().rows == 2
    scan.select("i").read()
    assert scan.report().rows == 36
