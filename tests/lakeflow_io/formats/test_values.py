"""Rows of every type are the same from ORC and Avro as from Parquet."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from encoded import avro_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import orc

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.reader import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["ORC", "AVRO"]
NESTED = pa.struct(
    [
        ("a", pa.int32()),
        ("m", pa.map_(pa.string(), pa.list_(pa.timestamp("us")))),
        ("p", pa.map_(pa.int64(), pa.struct([("x", pa.time64("us")), ("y", pa.decimal128(12, 4))]))),
    ]
)
TYPES = pa.schema(
    [
        ("i", pa.int32()), ("l", pa.int64()), ("b", pa.bool_()), ("f", pa.float32()), ("d", pa.float64()),
        ("small", pa.decimal128(9, 2)), ("middle", pa.decimal128(18, 4)), ("large", pa.decimal128(38, 10)),
        ("day", pa.date32()), ("time", pa.time64("us")), ("plain", pa.timestamp("us")),
        ("moment", pa.timestamp("us", "UTC")), ("text", pa.string()), ("bytes", pa.binary()), ("fixed", pa.binary(3)),
        ("uuid", pa.uuid()), ("list", pa.list_(pa.list_(pa.string()))), ("nested", NESTED),
    ]
)  # fmt: skip
# What pyarrow's reader of ORC can hold.
FIRST, LAST = dt.datetime(1678, 1, 1), dt.datetime(2261, 12, 31)  # noqa: DTZ001


EXACT = Context(prec=38)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    """All that a type holds."""
    most = 10**precision - 1
    return st.integers(-most, most).map(lambda number: Decimal(number).scaleb(-scale, EXACT))


PLAIN_TIMES = st.datetimes(FIRST, LAST)
TIMES = st.times()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
STRUCT = st.fixed_dictionaries(
    {
        "a": st.none() | st.integers(-(2**31), 2**31 - 1),
        "m": st.none() | st.dictionaries(TEXTS, st.none() | st.lists(st.none() | PLAIN_TIMES, max_size=2), max_size=2),
        "p": st.none()
        | st.dictionaries(
            st.integers(-(2**63), 2**63 - 1),
            st.none() | st.fixed_dictionaries({"x": st.none() | TIMES, "y": st.none() | decimals(12, 4)}),
            max_size=2,
        ),
    }
)
VALUES = {
    "i": st.integers(-(2**31), 2**31 - 1), "l": st.integers(-(2**63), 2**63 - 1), "b": st.booleans(),
    "f": st.floats(width=32, allow_nan=False), "d": st.floats(allow_nan=False), "small": decimals(9, 2),
    "middle": decimals(18, 4), "large": decimals(38, 10), "day": st.dates(), "time": TIMES, "plain": PLAIN_TIMES,
    "moment": st.datetimes(FIRST, LAST, timezones=st.just(dt.UTC)), "text": TEXTS, "bytes": st.binary(max_size=8),
    "fixed": st.binary(min_size=3, max_size=3), "uuid": st.uuids(),
    "list": st.lists(st.none() | st.lists(st.none() | TEXTS, max_size=2), max_size=3), "nested": STRUCT,
}  # fmt: skip
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | each for name, each in VALUES.items()}), max_size=8)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of `TYPES`; maps as lists of pairs, UUIDs as bytes."""

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, UUID):
            return value.bytes
        if name == "nested" and value is not None:
            return {key: list(each.items()) if isinstance(each, dict) else each for key, each in value.items()}
        return value

    columns = []
    for field in TYPES:
        values = [plain(field.name, row[field.name]) for row in rows]
        if field.name == "uuid":
            columns.append(pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16))))
        else:
            columns.append(pa.array(values, field.type))
    return pa.table(columns, schema=TYPES)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(rows=ROWS, group=st.integers(1, 7), data=st.data())
def test_every_type_is_read_as_from_parquet(
    memory_files: Callable[..., Any], kind: str, rows: list[Any], group: int, data: Any
) -> None:
    """Every value of every type, nested ones and nulls at each level, whole and a few columns of it."""
    ours, parquet, table = memory_files(TYPES), memory_files(TYPES), table_of(rows)
    ours.put(kind, table, group=group)
    parquet.put("PARQUET", table)
    columns = data.draw(st.lists(st.sampled_from(TYPES.names), unique=True, max_size=4))

    assert parquet.read().equals(ours.read())
    assert parquet.read(parquet.spec(columns)).equals(ours.read(ours.spec(columns)))


@pytest.mark.parametrize("kind", KINDS)
def test_floats_keep_their_bits(memory_files: Callable[..., Any], kind: str) -> None:
    """NaN, both zeroes and both infinities come as they are."""
    files = memory_files(pa.schema([("f", pa.float32()), ("d", pa.float64())]))
    numbers = [float("nan"), 0.0, -0.0, float("inf"), float("-inf"), None]
    files.put(kind, pa.table({"f": pa.array(numbers, pa.float32()), "d": numbers}))

    found = files.read()

    assert [repr(each) for each in found["f"].to_pylist()] == [repr(each) for each in numbers]
    assert [repr(each) for each in found["d"].to_pylist()] == [repr(each) for each in numbers]


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("AVRO", each) for each in ("null", "deflate", "bzip2", "xz")]
    + [("ORC", each) for each in ("uncompressed", "zlib", "snappy", "lz4", "zstd")],
)
def test_every_codec(memory_files: Callable[..., Any], numbers: Callable[..., pa.Table], kind: str, codec: str) -> None:
    """Blocks, streams and footers of each compression."""
    files, rows = memory_files(numbers(1).schema), numbers(500)
    files.put(kind, rows, codec=codec, group=100)

    assert rows.equals(files.read())


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file(memory_files: Callable[..., Any], numbers: Callable[..., pa.Table], kind: str) -> None:
    """A file without stripes or blocks has no rows."""
    files = memory_files(numbers(1).schema)
    files.put(kind, numbers(0))
    files.put(kind, numbers(3))

    assert numbers(3).equals(files.read())


@pytest.mark.parametrize("kind", KINDS)
def test_columns_with_odd_names(memory_files: Callable[..., Any], kind: str) -> None:
    """A dot in a name is no way into a struct."""
    schema = pa.schema([("a", pa.struct([("b", pa.int64())])), ("x.y", pa.int64()), ("größe", pa.int64())])
    files = memory_files(schema)
    rows = pa.table({"a": [{"b": 1}], "x.y": [2], "größe": [3]}, schema=schema)
    if kind == "AVRO":  # which has letters and digits alone: Iceberg writes others as their numbers
        fields = [("a", 1), ("x_x2Ey", 2), ("gr_xF6_xDFe", 3)]
        inner = {"type": "record", "name": "r1", "fields": [{"name": "b", "type": "long", "field-id": 4}]}
        written = {
            "type": "record", "name": "table",
            "fields": [{"name": n, "type": inner if n == "a" else "long", "field-id": i} for n, i in fields],
        }  # fmt: skip
        file = io.BytesIO()
        fastavro.writer(file, written, [{"a": {"b": 1}, "x_x2Ey": 2, "gr_xF6_xDFe": 3}])
        files.put(kind, rows, file.getvalue())
    else:
        files.put(kind, rows)

    assert rows.equals(files.read())
    assert files.read(files.spec(["x.y"]))["x.y"].to_pylist() == [2]


@pytest.mark.parametrize("moment", [dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), dt.datetime(2262, 4, 13)])  # noqa: DTZ001
def test_moments_far_away(memory_files: Callable[..., Any], moment: dt.datetime) -> None:
    """Avro holds them; ORC does, too, but pyarrow doesn't: they are refused by name, other columns are read."""
    schema = pa.schema([("id", pa.int64()), ("s", pa.struct([("far", pa.timestamp("us"))]))])
    rows = pa.table({"id": [1, 2], "s": [{"far": moment}, None]}, schema=schema)
    avro, orc = memory_files(schema), memory_files(schema)
    avro.put("AVRO", rows)
    orc.put("ORC", rows)

    assert rows.equals(avro.read())
    assert orc.read(orc.spec(["id"]))["id"].to_pylist() == [1, 2]
    with pytest.raises(UnsupportedError, match=r"file-000\.orc: stripe 0 has moments before 1678 or after 2261"):
        orc.read()


@pytest.mark.parametrize("kind", KINDS)
def test_a_union_or_an_unknown_type_is_refused(memory_files: Callable[..., Any], kind: str) -> None:
    """What no Iceberg table has is refused with the file and the column."""
    files = memory_files(pa.schema([("id", pa.int64())]))
    rows = pa.table({"id": [1]})
    if kind == "AVRO":
        written = {
            "type": "record", "name": "table",
            "fields": [{"name": "id", "type": ["long", "string"], "field-id": 1}],
        }  # fmt: skip
        data = avro_bytes(rows, files.schema, written=written)
    else:
        union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1]), pa.array(["x"])])
        sink = pa.BufferOutputStream()
        orc.write_table(pa.table({"id": union}), sink)
        data = bytes(sink.getvalue())
    files.put(kind, rows, data)

    with pytest.raises(UnsupportedError, match=rf"file-000\.{kind.lower()}.*'id'"):
        files.read()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_file_is_wanted(
    memory_files: Callable[..., Any], numbers: Callable[..., pa.Table], kind: str
) -> None:
    """A scan of columns that a file lacks has its rows, and decodes nothing."""
    old = memory_files(pa.schema([("id", pa.int64())]))
    files = memory_files(pa.schema([("id", pa.int64()), ("new", pa.string())]))
    files.put(kind, numbers(250).select(["id"]), schema=old.schema, group=100)
    counters = Counters()

    found = files.read(files.spec(["new"]), counters=counters)

    assert found["new"].to_pylist() == [None] * 250
    assert counters.row_groups >= 1
