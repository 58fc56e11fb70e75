"""A file that holds a row which the filter wants is never left out, whatever is known of it; many others are."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pyiceberg.expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNaN,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Not,
    NotEqualTo,
    NotIn,
    NotNaN,
    NotNull,
    NotStartsWith,
    Or,
    StartsWith,
)
from pyiceberg.expressions.visitors import bind
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestEntryStatus
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import UnknownTransform, parse_transform
from pyiceberg.typedef import Record

from lakeflow_io.errors import FilterError, UnsupportedError
from lakeflow_io.iceberg.internals import arrow_filter, arrow_schema
from lakeflow_io.iceberg.predicate import parse_filter

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

NAN = math.nan
FLOATS = [0.0, -0.0, NAN, -math.inf, math.inf, 1.5, 0.1, -3.25]
POOLS: dict[str, list[Any]] = {
    "i": [0, 1, -1, 7, 10, 19, -10, 2**62, 10 - 2**63],
    "f": FLOATS,
    "s": ["", "a", "ab", "abcd", "abcde", "abcdzz", "b", "é", "\U0001f600x", "\ue000", "zzzzz"],
    "d": [0, -1, 1, 364, 365, 18_000, -366],
    "ts": [0, -1, 1, 86_400_000_000, -86_400_000_001, 3_600_000_000, 10**15],
    "dec": [Decimal(each).scaleb(-2) for each in (0, 1, -1, 105, 999_999_999, -999_999_000)],
    "b": [True, False],
    "n": [0, 5, -5, 2**31 - 1, 7 - 2**31],
    "bin": [b"", b"a", b"ab\xff", b"\xff\xff\xff\xff\xff", b"abcdef"],
    "f4": [struct.unpack("<f", struct.pack("<f", each))[0] for each in FLOATS],
}
IDS = {name: number for number, name in enumerate(POOLS, 1)}
TRANSFORMS = {
    "i": ["identity", "bucket[3]", "truncate[10]", "void"],
    "f": ["identity"],
    "s": ["identity", "bucket[3]", "truncate[2]", "truncate[4]"],
    "d": ["identity", "year", "month", "day", "bucket[3]"],
    "ts": ["identity", "year", "month", "day", "hour", "bucket[4]"],
    "dec": ["identity", "bucket[3]", "truncate[50]"],
    "b": ["identity"],
    "n": ["identity", "truncate[7]"],
    "bin": ["identity", "truncate[1]"],
    "f4": ["identity"],
}
STATISTICS = ["value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds"]
# What a filter compares: dates and times as text, as users write them.
LITERALS = {
    **POOLS,
    "f": [each for each in FLOATS if not math.isnan(each)],
    "f4": [each for each in FLOATS if not math.isnan(each)],
    "d": ["1970-01-01", "1969-12-31", "1970-12-31", "2019-04-14"],
    "ts": ["1970-01-01T00:00:00", "1969-12-31T23:59:59.999999", "1970-01-01T01:00:00", "2001-09-09T01:46:40"],
}

rows = st.fixed_dictionaries({name: st.none() | st.sampled_from(pool) for name, pool in POOLS.items()})


@st.composite
def specs(draw: st.DrawFn, spec_id: int) -> PartitionSpec:
    """Up to two partition fields, of distinct columns."""
    names = draw(st.lists(st.sampled_from(list(POOLS)), max_size=2, unique=True))
    fields = [
        PartitionField(
            IDS[name], 1000 + 10 * spec_id + i, parse_transform(draw(st.sampled_from(TRANSFORMS[name]))), f"p{i}"
        )
        for i, name in enumerate(names)
    ]
    return PartitionSpec(*fields, spec_id=spec_id)


@st.composite
def filters(draw: st.DrawFn, depth: int = 0) -> BooleanExpression:
    """Any filter."""
    if depth < 3 and draw(st.integers(0, 2)) == 0:
        kind = draw(st.sampled_from([And, Or, Not]))
        left = draw(filters(depth=depth + 1))
        return Not(left) if kind is Not else kind(left, draw(filters(depth=depth + 1)))
    name = draw(st.sampled_from(list(POOLS)))
    unary = [IsNull, NotNull, *([IsNaN, NotNaN] if name in ("f", "f4") else [])]
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(unary))(name)
    literal = st.sampled_from(LITERALS[name])
    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([In, NotIn]))(name, set(draw(st.lists(literal, min_size=1, max_size=3))))
    binary = [EqualTo, NotEqualTo, LessThan, LessThanOrEqual, GreaterThan, GreaterThanOrEqual]
    if name == "s":
        binary += [StartsWith, NotStartsWith]
    return draw(st.sampled_from(binary))(name, draw(literal))


def matching(schema: Schema, some: list[dict[str, Any]], predicate: BooleanExpression) -> int:
    """Rows that the exact filter lets through."""
    arrays = [
        pa.array([row[each.name] for row in some], plain(each.type)).cast(each.type) for each in arrow_schema(schema)
    ]
    table = pa.table(arrays, schema=arrow_schema(schema))
    return int(table.filter(arrow_filter(bind(schema, predicate, case_sensitive=True), schema)).num_rows)


def plain(kind: pa.DataType) -> pa.DataType:
    """What Iceberg's value of a type is in Python."""
    return {"date32": pa.int32(), "timestamp": pa.int64()}.get(str(kind).partition("[")[0], kind)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_file_with_a_wanted_row_is_left_out(made_table: Any, data: st.DataObject) -> None:
    """Over specs that change, nulls, NaN, cut bounds and missing statistics: what is left out has no such row."""
    table = made_table({number: data.draw(specs(number)) for number in range(data.draw(st.integers(1, 2)))})
    for spec_id in table.specs:
        left_out = data.draw(st.just(frozenset()) | st.frozensets(st.sampled_from(STATISTICS)))
        table.add(spec_id, data.draw(st.lists(rows, min_size=1, max_size=12)), left_out)
    try:
        predicate = parse_filter(data.draw(filters()), table.schema, "t")
    except (FilterError, UnsupportedError):
        reject()

    planned = {piece.path for piece in table.plan(predicate).pieces}

    wanted = {path for path, some in table.files.items() if matching(table.schema, some, predicate)}
    assert wanted <= planned


def table_of(made_table: Any, transform: str | None, name: str, values: list[Any]) -> Any:
    """A table with a file for each value of a column."""
    fields = [] if transform is None else [PartitionField(IDS[name], 1000, parse_transform(transform), "p")]
    table = made_table({0: PartitionSpec(*fields)})
    for each in values:
        table.add(0, [{**dict.fromkeys(POOLS), name: each}])
    return table


def kept(table: Any, predicate: Any) -> list[Any]:
    """The values of the column in the files that were planned."""
    plan = table.plan(parse_filter(predicate, table.schema, "t"))
    return [next((v for v in table.files[piece.path][0].values() if v is not None), None) for piece in plan.pieces]


@pytest.mark.parametrize(
    ("transform", "name", "values", "where", "expected"),
    [
        (None, "i", [1, 5, None, 9], "i > 4", [5, 9]),
        (None, "i", [1, 5, None, 9], "i in (1, 7)", [1]),
        (None, "i", [1, 5, None, 9], "i is null", [None]),
        (None, "i", [1, 5, None, 9], "i != 5", [1, 9]),
        (None, "f", [1.5, NAN, None], "f > 1", [1.5]),
        (None, "s", ["abc", "b", None], "s like 'a%'", ["abc"]),
        (None, "s", ["abcdefgh", "abd"], "s = 'abcdefzz'", ["abcdefgh"]),
        (None, "dec", [Decimal("1.00"), Decimal("2.50")], "dec >= 2", [Decimal("2.50")]),
        (None, "b", [True, False], "b = true", [True]),
        ("identity", "f", [0.1, 0.2, None], "f = 0.1", [0.1]),
        ("identity", "s", ["us", "us-east", None], "s = 'us-east'", ["us-east"]),
        ("bucket[16]", "i", [1, 2, 3, None], "i = 2", [2]),
        ("truncate[2]", "s", ["abx", "acx"], "s = 'aby'", []),
        ("day", "ts", [0, 86_400_000_000, None], "ts < '1970-01-02T00:00:00'", [0]),
    ],
)
def test_what_is_left_out(
    made_table: Any, transform: str | None, name: str, values: list[Any], where: str, expected: list[Any]
) -> None:
    """By bounds alone, and by partition values."""
    assert kept(table_of(made_table, transform, name, values), where) == expected


@pytest.mark.parametrize("where", ["i = 5", "i > 5", "i is null", "i in (1, 2)"])
def test_an_unknown_transform_prunes_nothing(made_table: Any, where: str) -> None:
    """What another engine's transform made of a column says nothing about it."""
    table = made_table({0: PartitionSpec(PartitionField(1, 1000, parse_transform("void"), "p"))})
    table.add(0, [{**dict.fromkeys(POOLS), "i": 1}], frozenset(STATISTICS))
    table.add(0, [{**dict.fromkeys(POOLS), "i": 5}], frozenset(STATISTICS))
    table.uri = table.commit()
    table.specs = {0: PartitionSpec(PartitionField(1, 1000, UnknownTransform("zorder[3]"), "p"))}

    assert len(table.plan(parse_filter(where, table.schema, "t")).pieces) == 2


def test_times_before_1970_that_were_rounded_up(made_table: Any) -> None:
    """Old writers put a moment of 1969 into day 0: it is found there."""
    table = made_table({0: PartitionSpec(PartitionField(5, 1000, parse_transform("day"), "p"))})
    for day in (-1, 0, 1):
        file = DataFile.from_args(
            content=DataFileContent.DATA, file_path=f"day{day}", file_format=FileFormat.PARQUET, partition=Record(day),
            record_count=1, file_size_in_bytes=1,
        )  # fmt: skip
        table.add_entry(0, file)

    for where in ("ts < '1969-12-31T23:00:00'", "ts = '1969-12-31T23:00:00'"):
        found = [piece.path for piece in table.plan(parse_filter(where, table.schema, "t")).pieces]
        assert found == ["day-1", "day0"]


def test_bounds_from_before_a_promotion(made_table: Any) -> None:
    """A long that was an int has bounds of four bytes, a double that was a float has them, too; others are ignored."""
    table = made_table({0: PartitionSpec()})
    for path, low in (("int", struct.pack("<i", 7)), ("long", struct.pack("<q", 7)), ("odd", b"\7\0\0")):
        bounds = {1: low, 2: struct.pack("<f", 0.5)}
        file = DataFile.from_args(
            content=DataFileContent.DATA, file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
            record_count=1, file_size_in_bytes=1, lower_bounds=bounds, upper_bounds=bounds,
        )  # fmt: skip
        table.add_entry(0, file)

    assert [piece.path for piece in table.plan(parse_filter("i = 8", table.schema, "t")).pieces] == ["odd"]
    assert [piece.path for piece in table.plan(parse_filter("f = 0.25", table.schema, "t")).pieces] == []
    assert len(table.plan(parse_filter("i = 7 and f = 0.5", table.schema, "t")).pieces) == 3


def test_deleted_and_empty_files_are_no_part_of_a_plan(made_table: Any) -> None:
    """Nor is a manifest that has no other."""
    table = made_table({0: PartitionSpec(), 1: PartitionSpec(spec_id=1)})
    for spec_id, path, count, status in ((0, "a", 1, 1), (0, "gone", 1, 2), (0, "empty", 0, 1), (1, "also gone", 1, 2)):
        file = DataFile.from_args(
            content=DataFileContent.DATA, file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
            record_count=count, file_size_in_bytes=1,
        )  # fmt: skip
        table.add_entry(spec_id, file, ManifestEntryStatus(status))

    assert [piece.path for piece in table.plan().pieces] == ["a"]


def test_summaries_leave_whole_manifests_out(made_table: Any) -> None:
    """A manifest whose partitions can't hold a row isn't fetched: here it isn't even there."""
    specs_of = {i: PartitionSpec(PartitionField(1, 1000, parse_transform("identity"), "p"), spec_id=i) for i in (0, 1)}
    table = made_table(specs_of)
    table.add(0, [{**dict.fromkeys(POOLS), "i": i} for i in range(5)])
    table.add(1, [{**dict.fromkeys(POOLS), "i": i} for i in range(50, 55)])
    table.uri = table.commit()
    table.io.delete("memory://made/manifest-1.avro")

    assert len(table.plan(parse_filter("i < 40", table.schema, "t")).pieces) == 5
