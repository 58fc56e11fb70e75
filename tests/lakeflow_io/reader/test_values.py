"""Whatever is written is read back: the reader agrees with pyarrow on every value."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.expressions import parser

from lakeflow_io.iceberg.internals import arrow_filter, arrow_schema
from lakeflow_io.iceberg.shards import balance

if TYPE_CHECKING:
    from collections.abc import Callable

MAPS = st.dictionaries(st.text(max_size=2), st.integers(-9, 9)).map(lambda each: list(each.items()))
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "l": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "f": (pa.float32(), st.floats(width=32)),
    "d": (pa.float64(), st.floats()),
    "b": (pa.bool_(), st.booleans()),
    "s": (pa.string(), st.text(max_size=8)),
    "x": (pa.binary(), st.binary(max_size=8)),
    "day": (pa.date32(), st.dates()),
    "ts": (pa.timestamp("us"), st.datetimes()),
    "tz": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    "n": (pa.decimal128(12, 3), st.integers(-(10**12) + 1, 10**12 - 1).map(lambda each: Decimal(each).scaleb(-3))),
    "list": (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-9, 9), max_size=3)),
    "struct": (
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
        st.fixed_dictionaries({"a": st.none() | st.integers(-9, 9), "b": st.none() | st.text(max_size=3)}),
    ),
    "map": (pa.map_(pa.string(), pa.int64()), MAPS),
}  # fmt: skip
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in KINDS.items()])
FILTERS = [
    None, "i > 0", "l <= 5 or s = 'a'", "b = true and d >= 0", "s like 'a%'", "d is nan", "f is not nan and i is null",
    "s is not null", "not (i between -5 and 5)", "day >= '2000-01-01'", "n > 1.500", "s in ('a', 'b', '')",
    "ts < '2020-01-01T00:00:00'",
]  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of every kind of column, with nulls."""
    rows = draw(st.integers(1, 25))
    return pa.table(
        {
            name: pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
            for name, (kind, values) in KINDS.items()
        }
    )


def plain(data: pa.Table) -> list[str]:
    """Rows that compare equal when they are: NaN is NaN, -0.0 is -0.0."""
    return [repr(row) for row in data.to_pylist()]


@settings(max_examples=80)
@given(
    data=tables(),
    columns=st.lists(st.sampled_from(list(KINDS)), unique=True, min_size=1),
    where=st.sampled_from(FILTERS),
    row_group=st.integers(1, 12),
    budget=st.sampled_from([1, 2000, None]),
)
def test_a_scan_reads_what_pyarrow_would(
    memory_files: Callable[..., Any], data: pa.Table, columns: list[str], where: str | None, row_group: int, budget: Any
) -> None:
    """Every type, column subset, filter, row-group size and budget gives the rows and the order of the file."""
    files = memory_files(SCHEMA, row_group)
    files.add(data)
    spec = files.spec(columns, where)

    found = files.read(spec, memory=budget)

    expected = data
    if where:
        from pyiceberg.expressions.visitors import bind

        expected = data.filter(arrow_filter(bind(files.schema, parser.parse(where), case_sensitive=True), files.schema))
    assert found.schema == arrow_schema(spec.columns)
    assert expected.num_rows == found.num_rows
    assert plain(expected.select(columns)) == plain(found)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    row_group=st.integers(1, 20),
    n=st.integers(1, 12),
)
def test_shards_yield_each_row_exactly_once(
    memory_files: Callable[..., Any], sizes: list[int], row_group: int, n: int
) -> None:
    """However files are cut into shards, together they hold every row once."""
    files = memory_files(pa.schema([("id", pa.int64()), ("text", pa.string())]), row_group)
    start = 0
    for rows in sizes:
        ids = list(range(start, start + rows))
        files.add(pa.table({"id": ids, "text": [f"{each}" * 3 for each in ids]}))
        start += rows
    spec = files.spec()

    shards = balance(spec, files.pieces, n)

    found = [value for shard in shards for value in files.read(spec, shard.pieces)["id"].to_pylist()]
    assert list(range(start)) == sorted(found)


def test_offsets_that_a_manifest_lacks_do_not_lose_rows(memory_files: Callable[..., Any]) -> None:
    """Cuts that are no row group's beginning, as another writer may leave, still yield each row once."""
    from dataclasses import replace

    files = memory_files(pa.schema([("id", pa.int64())]), 10)
    piece = files.add(pa.table({"id": list(range(100))}))
    edges = [0, 1, 7, piece.file_size // 3, piece.file_size // 2, piece.file_size]

    parts = [replace(piece, start=a, end=b) for a, b in itertools.pairwise(edges)]

    assert list(range(100)) == files.read(pieces=parts)["id"].to_pylist()


@pytest.mark.parametrize("name", ["a.b", "a b", "ü", "a`b", "select", "a.list.element"])
def test_a_columns_name_may_be_anything(memory_files: Callable[..., Any], name: str) -> None:
    """A dot, a space or a keyword in a name reads as any other name."""
    files = memory_files(pa.schema([("a", pa.int64()), (name, pa.int64())]))
    files.add(pa.table({"a": [1, 2], name: [3, 4]}))

    found = files.read(files.spec([name]))

    assert found.column(0).to_pylist() == [3, 4]
