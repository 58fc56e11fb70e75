"""A data file's partition label is true of every row in it: whatever prunes by it loses nothing."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import struct
from collections import Counter
from ctypes import c_float
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyiceberg.expressions import EqualTo, IsNaN, IsNull

from lakeflow.scan import read_shard
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

NAN = float("nan")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Kind:
    """A column's type, some values of it, and the transforms that take it."""

    type: pa.DataType
    values: tuple[Any, ...]
    terms: tuple[str, ...]


_BUCKET = "bucket(4, {})"
_MOMENTS = ("{}", _BUCKET, "year({})", "month({})", "day({})", "hour({})")
KINDS = {
    "boolean": Kind(pa.bool_(), (True, False), ("{}",)),
    "int32": Kind(pa.int32(), (-5, 0, 1, 7, 2**31 - 1), ("{}", _BUCKET, "truncate(3, {})")),
    "int64": Kind(pa.int64(), (-(2**60), -1, 0, 5, 11, 2**60), ("{}", _BUCKET, "truncate(10, {})")),
    "float32": Kind(pa.float32(), (-0.0, 0.0, NAN, 1.5, -2.25), ("{}",)),
    "float64": Kind(pa.float64(), (-0.0, 0.0, NAN, 0.1, 1e300), ("{}",)),
    "text": Kind(
        pa.string(), ("", "a", "ab", "b/c=d", "ü%20", "null", "z" * 30), ("{}", _BUCKET, "truncate(1, {})")
    ),
    "binary": Kind(pa.binary(), (b"", b"a", b"\x00\xff", b"ab"), ("{}", _BUCKET, "truncate(1, {})")),
    "fixed": Kind(pa.binary(4), (b"aaaa", b"\x00\xff\x01\x02", b"bbbb"), ("{}", _BUCKET)),
    "uuid": Kind(pa.uuid(), (UUID(int=1), UUID(int=2**127), UUID(int=3)), ("{}", _BUCKET)),
    "decimal": Kind(
        pa.decimal128(20, 3), tuple(map(Decimal, ("1.250", "-99999.999", "0.001"))), ("{}", _BUCKET, "truncate(10, {})")
    ),
    "date": Kind(
        pa.date32(), tuple(map(dt.date.fromisoformat, ("1960-05-05", "1969-12-31", "1970-01-01", "2024-02-29"))),
        ("{}", _BUCKET, "year({})", "month({})", "day({})"),
    ),
    "moment": Kind(
        pa.timestamp("us"),
        tuple(map(dt.datetime.fromisoformat, ("1960-05-05T01:02:03.000004", "1969-12-31T23:59", "2024-02-29T12:00"))),
        _MOMENTS,
    ),
    "instant": Kind(
        pa.timestamp("us", "UTC"),
        tuple(map(dt.datetime.fromisoformat, ("1960-05-05T23:02:03+00:00", "1970-01-01T00:00+00:00",
                                              "2024-02-29T12:00+00:00"))),
        _MOMENTS,
    ),
    "clock": Kind(pa.time64("us"), (dt.time(0), dt.time(1, 2, 3, 4), dt.time(23)), ("{}", _BUCKET)),
}  # fmt: skip
CASES = [(name, term) for name, kind in KINDS.items() for term in (*kind.terms, "void({})")]
_numbers = itertools.count()


def table_of(columns: dict[str, list[Any]]) -> pa.Table:
    """Columns by the name of their kind, and a number for each row."""
    arrays = {name: array_of(KINDS[name].type, values) for name, values in columns.items()}
    rows = len(next(iter(columns.values())))
    return pa.table({**arrays, "row": pa.array(range(rows), pa.int64())})


def array_of(kind: pa.DataType, values: list[Any]) -> pa.Array:
    """An array; uuids through their sixteen bytes."""
    if kind != pa.uuid():
        return pa.array(values, kind)
    return pa.array([each and each.bytes for each in values], pa.binary(16)).cast(kind)


def plain(value: Any) -> Any:
    """A value that compares as its bits do: NaN with itself, -0.0 not with 0.0."""
    if isinstance(value, float):  # as float32, since pyiceberg's compiled decoder reads doubles of partitions so
        return "nan" if math.isnan(value) else struct.pack("<d", c_float(value).value)
    return UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else value


def internal(value: Any) -> Any:
    """A value as Iceberg's spec counts it: days, microseconds."""
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=dt.UTC) - EPOCH) // MICROSECOND
    if isinstance(value, dt.date):
        return (value - EPOCH.date()).days
    if isinstance(value, dt.time):
        since_midnight = dt.timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
        return (since_midnight + value.microsecond * MICROSECOND) // MICROSECOND
    return value


def labels_of(table: lf.Table, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Each row's partition by pyiceberg's transforms of single values, which write nothing."""
    iceberg = table.iceberg
    transforms = []
    for part in iceberg.spec().fields:
        source = iceberg.schema().find_field(part.source_id)
        void = str(part.transform) == "void"
        transforms.append((source.name, (lambda _: None) if void else part.transform.transform(source.field_type)))
    return [tuple(plain(function(internal(row[name]))) for name, function in transforms) for row in rows]


def create(lake: lf.Lake, data: pa.Table, terms: list[str]) -> lf.Table:
    """A new table in a namespace of its own."""
    return lake.create_table(f"labels{next(_numbers)}.t", data.schema, partition_by=terms)


def files(table: lf.Table) -> Counter[tuple[Any, ...]]:
    """Partitions and the rows in them, over all files."""
    found: Counter[tuple[Any, ...]] = Counter()
    for task in table.refresh().iceberg.scan().plan_files():
        found[label(task.file.partition)] += task.file.record_count
    return found


def label(record: Any) -> tuple[Any, ...]:
    """A manifest's partition record as `labels_of` gives it."""
    return tuple(plain(record[position]) for position in range(len(record)))


def check_labels(table: lf.Table) -> None:
    """Every row of every file has its file's label."""
    for task in table.refresh().iceberg.scan().plan_files():
        rows = pq.read_table(task.file.file_path.removeprefix("file://"), partitioning=None).to_pylist()
        rows = [{name: plain_uuid(table, name, value) for name, value in row.items()} for row in rows]
        assert set(labels_of(table, rows)) == {label(task.file.partition)}


def plain_uuid(table: lf.Table, name: str, value: Any) -> Any:
    """A file's sixteen bytes as the value they stand for."""
    is_uuid = str(table.iceberg.schema().find_field(name).field_type) == "uuid"
    return UUID(bytes=value) if is_uuid and isinstance(value, bytes) else value


def check_equality(table: lf.Table, data: pa.Table, name: str) -> None:
    """A filter on each value finds exactly the rows that have it; one on uuids is refused."""
    rows = data.to_pylist()
    if name == "uuid":
        with pytest.raises(UnsupportedError, match="uuid"):
            table.scan(where=EqualTo(name, rows[0][name] or UUID(int=1)))
        return
    for value in {plain(row[name]): row[name] for row in rows}.values():
        if value is None:
            where: Any = IsNull(name)
        elif isinstance(value, float) and math.isnan(value):
            where = IsNaN(name)
        else:
            where = EqualTo(name, value)
        expected = [row["row"] for row in rows if row[name] == value or plain(row[name]) == plain(value)]

        found = table.scan(columns=["row"], where=where).read().to_arrow()["row"].to_pylist()

        assert expected == sorted(found), (name, value)


def check_shards(table: lf.Table, data: pa.Table) -> None:
    """Shards by partition: all of a partition's rows and no other's."""
    expected: dict[tuple[Any, ...], list[int]] = {}
    rows = data.to_pylist()
    for key, row in zip(labels_of(table, rows), rows, strict=True):
        expected.setdefault(key, []).append(row["row"])

    shards = [sorted(read_shard(shard)["row"].to_pylist()) for shard in table.scan().shards(by="partition")]

    assert sorted(expected.values()) == sorted(shards)


@pytest.mark.parametrize(("name", "term"), CASES, ids=[term.format(name) for name, term in CASES])
def test_every_transform_of_every_type_labels_its_rows(embedded: lf.Lake, name: str, term: str) -> None:
    """Values in an order of no help, nulls among them: labels, filters and shards agree with the rows."""
    values = [*KINDS[name].values, None] * 3
    data = table_of({name: values[1::2] + values[::2]})
    table = create(embedded, data, [term.format(name)])

    table.append(data)

    check_labels(table)
    check_equality(table, data, name)
    check_shards(table, data)


# What pyiceberg 0.12 can't append itself.
_NOT_PYICEBERGS = {("clock", _BUCKET), *(("uuid", term) for term in ("{}", _BUCKET, "void({})"))}
SHARED = [case for case in CASES if case not in _NOT_PYICEBERGS and not case[0].startswith("float")]


@pytest.mark.parametrize(("name", "term"), SHARED, ids=[term.format(name) for name, term in SHARED])
def test_pyiceberg_cuts_the_same_partitions(embedded: lf.Lake, name: str, term: str) -> None:
    """The same rows appended by pyiceberg lie in the same partitions, as many in each."""
    data = table_of({name: [*KINDS[name].values, None] * 2})
    ours, theirs = (create(embedded, data, [term.format(name)]) for _ in range(2))

    ours.append(data)
    theirs.iceberg.append(data)

    assert files(theirs) == files(ours)
    assert len(data) == len(ours.iceberg.scan().to_arrow())


@st.composite
def layouts(draw: st.DrawFn) -> tuple[dict[str, list[Any]], list[str]]:
    """One to three columns of values that repeat, and one to three terms over them."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True))
    rows = draw(st.integers(1, 12))
    columns = {
        name: draw(st.lists(st.sampled_from([*KINDS[name].values, None]), min_size=rows, max_size=rows))
        for name in names
    }
    choices = [term.format(name) for name in names for term in KINDS[name].terms]
    return columns, draw(st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True))


@settings(max_examples=20)
@given(layouts())
@example(({"float64": [0.0, -0.0, 1.0, -0.0, 0.0, NAN, None, NAN]}, ["float64"]))
@example(({"int32": [5, 4, None, 3, 2, 1]}, ["truncate(3, int32)"]))
@example(({"text": ["DE", "AT", None, "FR"], "int64": [1, 2, 3, None]}, ["text", "bucket(4, int64)"]))
def test_any_rows_under_any_layout(embedded: lf.Lake, layout: tuple[dict[str, list[Any]], list[str]]) -> None:
    """Several columns, several transforms, in any mixture: every label is true, and nothing is lost."""
    columns, terms = layout
    data = table_of(columns)
    table = create(embedded, data, terms)

    table.append(data)

    check_labels(table)
    check_shards(table, data)
    for name in columns:
        check_equality(table, data, name)


@pytest.mark.parametrize("partitions", [20, 300])
def test_many_text_partitions_are_all_found(
    embedded: lf.Lake, partitions: int, numbers: Callable[..., pa.Table]
) -> None:
    """More partitions than a hash table holds in order: each value's rows are found by it."""
    values = [f"c{number * 7919 % partitions:04d}" for number in range(partitions * 2)]
    data = numbers(partitions * 2).select(["id"]).append_column("text", pa.array(values))
    table = create(embedded, data, ["text"])

    table.append(data)

    found = {value: table.scan(where=f"text = '{value}'").read().to_arrow()["id"] for value in values[:40]}
    assert {value: [n for n, each in enumerate(values) if each == value] for value in values[:40]} == {
        value: sorted(ids.to_pylist()) for value, ids in found.items()
    }
