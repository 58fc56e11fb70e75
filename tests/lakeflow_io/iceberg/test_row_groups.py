"""Row groups that statistics rule out hold no row that the exact filter lets through, whoever wrote the file."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg import expressions as ex
from pyiceberg.schema import Schema

from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.iceberg.plan import ReadSpec
from lakeflow_io.iceberg.row_groups import RowGroupFilter
from lakeflow_io.iceberg.verdict import Match

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = st.sampled_from("ab\U0010ffff").map(lambda each: each * 70)
TEXT = st.one_of(
    st.text("aBé\x00\U0010ffff", max_size=3), LONG, st.builds(str.__add__, LONG, st.text("ab", max_size=2))
)
FLOATS = [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 0.1, 5e-324]
SINGLES = st.floats(width=32)
DATES = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))
MOMENTS = st.builds(dt.datetime.combine, DATES, st.times())


def decimals(precision: int) -> st.SearchStrategy[Decimal]:
    """Every decimal(precision, 3)."""
    limit = 10**precision - 1
    return (st.integers(-300, 300) | st.integers(-limit, limit)).map(lambda each: Decimal(f"{each}E-3"))


KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int32(), st.integers(-3, 3) | st.integers(-(2**31), 2**31 - 1)),
    "l": (pa.int64(), st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)),
    "f": (pa.float32(), st.sampled_from(FLOATS).map(lambda each: pa.scalar(each, pa.float32()).as_py()) | SINGLES),
    "d": (pa.float64(), st.sampled_from(FLOATS) | st.floats()),
    "b": (pa.bool_(), st.booleans()),
    "s": (pa.string(), TEXT),
    "x": (pa.binary(), st.binary(max_size=2) | st.integers(0, 2).map(lambda n: b"\xff" * 70 + b"\x00" * n)),
    "day": (pa.date32(), DATES),
    "at": (pa.time64("us"), st.times()),
    "ts": (pa.timestamp("us"), MOMENTS),
    "tz": (pa.timestamp("us", "UTC"), MOMENTS.map(lambda each: each.replace(tzinfo=dt.UTC))),
    "n": (pa.decimal128(9, 3), decimals(9)),
    "big": (pa.decimal128(38, 3), decimals(38)),
}  # fmt: skip
TIMES = {"day", "at", "ts", "tz"}
ALL = fresh_schema(pa.schema([(name, kind) for name, (kind, _) in KINDS.items()]), 2)
NAMES = st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3, unique=True)


def schema_of(names: list[str]) -> Schema:
    """Some columns of the table."""
    return Schema(*(ALL.find_field(name) for name in names))


@st.composite
def tables(draw: st.DrawFn, names: list[str]) -> pa.Table:
    """Few distinct values a column, so that row groups are often of one value or all null."""
    rows = draw(st.integers(1, 12))
    columns = {}
    for name in names:
        kind, values = KINDS[name]
        pool = draw(st.lists(values, min_size=1, max_size=3))
        pool += [None] * draw(st.integers(0, 2))
        column = draw(st.lists(st.sampled_from(pool), min_size=rows, max_size=rows))
        if draw(st.booleans()):
            column.sort(key=lambda each: (each is None, repr(each)))
        columns[name] = pa.array(column, kind)
    return pa.table(columns)


def literal(name: str, value: Any) -> Any:
    """As a filter's text would have it."""
    return value.isoformat() if name in TIMES else value


COMPARISONS = (ex.EqualTo, ex.NotEqualTo, ex.LessThan, ex.LessThanOrEqual, ex.GreaterThan, ex.GreaterThanOrEqual)


@st.composite
def predicates(draw: st.DrawFn, data: pa.Table, depth: int = 2) -> Any:
    """Any filter on any of the columns, mostly by values that are in it."""
    if depth and draw(st.booleans()):
        parts = [draw(predicates(data, depth - 1)) for _ in range(2)]
        return draw(st.sampled_from([ex.And, ex.Or]))(*parts)
    name = draw(st.sampled_from(data.column_names))
    there = [each for each in data[name].to_pylist() if each is not None]
    values = (st.sampled_from(there) | KINDS[name][1]) if there else KINDS[name][1]
    values = values.filter(lambda each: each == each)  # noqa: PLR0124  (no literal is NaN)
    kinds = [*COMPARISONS, ex.In, ex.NotIn, ex.IsNull, ex.NotNull]
    kinds += [ex.IsNaN, ex.NotNaN] if name in {"f", "d"} else []
    kinds += [ex.StartsWith, ex.NotStartsWith] if name == "s" else []
    kind = draw(st.sampled_from(kinds))
    if kind in {ex.IsNull, ex.NotNull, ex.IsNaN, ex.NotNaN}:
        return kind(name)
    if kind in {ex.In, ex.NotIn}:
        return kind(name, [literal(name, each) for each in draw(st.lists(values, min_size=1, max_size=4))])
    value = draw(values)
    if kind in {ex.StartsWith, ex.NotStartsWith}:
        return kind(name, value[: draw(st.integers(0, len(value)))])
    return kind(name, literal(name, value))


WRITERS: dict[str, dict[str, Any]] = {
    "default": {},
    "second pages": {"data_page_version": "2.0", "use_dictionary": False},
    "whole decimals": {"store_decimal_as_integer": True},
    "old format": {"version": "1.0"},
    "milliseconds": {"coerce_timestamps": "ms", "allow_truncated_timestamps": True},
    "no statistics": {"write_statistics": False},
    "some statistics": {"write_statistics": ["i", "s", "d", "n"]},
    "page index": {"write_page_index": True},
}
FILES = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("writer", list(WRITERS))
@settings(FILES, max_examples=60)
@given(data=st.data(), names=NAMES, rows=st.integers(1, 6))
def test_pruning_agrees_with_the_exact_filter(
    write_file: Any, check_pruning: Any, data: st.DataObject, names: list[str], rows: int, writer: str
) -> None:
    """NONE holds no row that passes and ALL none that doesn't, for each type, filter and setting of pyarrow."""
    table = data.draw(tables(names))
    where = data.draw(predicates(table))
    schema = schema_of(names)

    found = check_pruning(write_file(table, schema, row_group_size=rows, **WRITERS[writer]), schema, where)

    assert len(found) == -(-table.num_rows // rows)


def by_polars(table: pa.Table, rows: int) -> bytes:
    """A file by Polars: long text is cut short in its statistics."""
    import polars as pl

    sink = io.BytesIO()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(sink, row_group_size=rows)
    return sink.getvalue()


def by_duckdb(table: pa.Table, path: Any) -> bytes:
    """A file by DuckDB, with other statistics of floats."""
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("data", table)
        connection.execute(f"copy data to '{path}' (format parquet, row_group_size 3)")
    return path.read_bytes()


@FILES
@given(data=st.data(), names=NAMES.filter(lambda names: "at" not in names), rows=st.integers(1, 6))
def test_files_of_polars(check_pruning: Any, data: st.DataObject, names: list[str], rows: int) -> None:
    """The same, where Polars wrote the file; it has no time of microseconds."""
    table = data.draw(tables(names))
    where = data.draw(predicates(table))

    check_pruning(by_polars(table, rows), schema_of(names), where, map_names=True)


@settings(FILES, max_examples=60)
@given(data=st.data(), names=NAMES)
def test_files_of_duckdb(
    check_pruning: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, names: list[str]
) -> None:
    """The same, where DuckDB wrote the file."""
    table = data.draw(tables(names))
    where = data.draw(predicates(table))
    encoded = by_duckdb(table, tmp_path_factory.getbasetemp() / "duckdb.parquet")

    check_pruning(encoded, schema_of(names), where, map_names=True)


@FILES
@given(
    size=st.integers(1, 40),
    rows=st.integers(1, 9),
    value=st.integers(-2, 42),
    kind=st.sampled_from(["i", "l", "n", "s"]),
)
def test_sorted_values_are_pruned_to_the_groups_that_overlap(
    write_file: Any, check_pruning: Any, size: int, rows: int, value: int, kind: str
) -> None:
    """Of a sorted column, only groups that hold such values are read, and those within a range need no filter."""
    makers: dict[str, Callable[[int], Any]] = {"n": lambda n: Decimal(f"{n}.000"), "s": lambda n: f"{n + 9:03d}"}
    make = makers.get(kind, lambda n: n)
    table = pa.table({kind: pa.array([make(n) for n in range(size)], KINDS[kind][0])})
    schema = schema_of([kind])
    encoded = write_file(table, schema, row_group_size=rows)

    groups = [range(start, min(start + rows, size)) for start in range(0, size, rows)]
    equal = check_pruning(encoded, schema, ex.EqualTo(kind, make(value)))
    above = check_pruning(encoded, schema, ex.GreaterThanOrEqual(kind, make(value)))

    assert [match is not Match.NONE for match in equal] == [value in group for group in groups]
    assert above == [
        Match.ALL if group[0] >= value else Match.SOME if group[-1] >= value else Match.NONE for group in groups
    ]


def test_a_scan_without_a_filter_has_none() -> None:
    """There is nothing to judge then."""
    assert RowGroupFilter.of(ReadSpec("t", 1, ALL, ALL, None, None, 2, {})) is None
