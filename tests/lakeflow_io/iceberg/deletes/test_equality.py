"""What equality deletes compare, and what is equal to what."""

from __future__ import annotations

import datetime as dt
import math
import struct
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.types import LongType, StringType

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.iceberg.deletes.equality import DeletedKeys

if TYPE_CHECKING:
    from collections.abc import Callable

NANS = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8 << 48, 0x7FF8 << 48 | 1, 0xFFF8 << 48)]
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False]),
    "int": (pa.int32(), [0, -1, 2**31 - 1]),
    "long": (pa.int64(), [0, -(2**63), 2**63 - 1]),
    "float": (pa.float32(), [0.0, -0.0, math.nan, 1.5]),
    "double": (pa.float64(), [0.0, -0.0, *NANS, 0.1]),
    "date": (pa.date32(), [dt.date(1969, 1, 1), dt.date(2020, 2, 29)]),
    "time": (pa.time64("us"), [dt.time(0), dt.time(23, 59, 59, 999999)]),
    "ts": (pa.timestamp("us"), [dt.datetime(1, 1, 1), dt.datetime(2020, 1, 1, 0, 0, 0, 1)]),  # noqa: DTZ001
    "decimal": (pa.decimal128(38, 3), [Decimal("0.000"), Decimal("-1.500"), Decimal(10) ** 34]),
    "small": (pa.decimal128(9, 2), [Decimal("0.10"), Decimal("0.11")]),
    "text": (pa.string(), ["", "a", "á", "á", "a\x00"]),
    "bytes": (pa.binary(), [b"", b"\xff", b"\xff\x00"]),
    "fixed": (pa.binary(3), [b"abc", b"abd"]),
}


def same(value: Any) -> Any:
    """Equal for two values that Java's comparators, by which Iceberg compares, take for one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    return value


@st.composite
def keyed(draw: st.DrawFn) -> tuple[list[str], list[list[Any]], list[int], list[list[Any]], int]:
    """Kinds of columns, deleted keys with sequence numbers, rows of a file, and the lowest number that applies."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3))
    values = [st.sampled_from([*KINDS[kind][1], None]) for kind in kinds]
    row = st.tuples(*values).map(list)
    deleted = draw(st.lists(row, max_size=8))
    sequences = draw(st.lists(st.integers(1, 5), min_size=len(deleted), max_size=len(deleted)))
    return kinds, deleted, sequences, draw(st.lists(row, max_size=20)), draw(st.integers(1, 5))


@given(keyed(), st.booleans(), st.data())
def test_a_row_is_deleted_if_its_key_is_and_late_enough(made: Any, some: bool, data: Any) -> None:  # noqa: FBT001
    """As a set of tuples would have it, whatever the types: null is null, any NaN is any other, 0.0 is not -0.0."""
    kinds, deleted, sequences, rows, least = made

    def columns(of: list[list[Any]]) -> list[pa.Array]:
        return [pa.array([row[i] for row in of], KINDS[kind][0]) for i, kind in enumerate(kinds)]

    among = None
    if some:
        chosen = data.draw(st.lists(st.integers(0, max(0, len(rows) - 1)), unique=True)) if rows else []
        among = np.array(sorted(chosen), np.int64)
    keys = DeletedKeys.of(columns(deleted), np.array(sequences, np.int64))

    found = keys.rows(columns(rows), least, among).tolist()

    def width(row: list[Any]) -> tuple[Any, ...]:
        # A float column holds what 32 bits make of a number.
        return tuple(same(pa.scalar(v, KINDS[k][0]).as_py()) for v, k in zip(row, kinds, strict=True))

    gone = {width(key) for key, sequence in zip(deleted, sequences, strict=True) if sequence >= least}
    looked_at = range(len(rows)) if among is None else among.tolist()
    assert found == [i for i in looked_at if width(rows[i]) in gone]


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_type_through_files(deleted_table: Callable[..., Any], kind: str) -> None:
    """A key of each type and null, written to a file, deletes what equals it."""
    arrow, values = KINDS[kind]
    table = deleted_table(pa.schema([("id", pa.int64()), ("k", arrow)]))
    rows = [*values, None]
    table.commit(table.data(pa.table({"id": list(range(len(rows))), "k": pa.array(rows, arrow)})))
    table.commit(table.keys({"k": pa.array([values[0], None], arrow)}))

    found = [row[0] for row in table.rows(columns=["id"])]

    gone = {same(pa.scalar(each, arrow).as_py()) for each in (values[0], None)}
    assert found == [i for i, each in enumerate(rows) if same(pa.scalar(each, arrow).as_py()) not in gone]


def test_a_uuid_is_compared(deleted_table: Callable[..., Any]) -> None:
    """An extension type's storage is what is compared."""
    table = deleted_table(pa.schema([("u", pa.uuid())]))
    values = [uuid.UUID(int=each).bytes for each in range(3)]
    rows = pa.table({"u": pa.array(values, pa.binary(16)).cast(pa.uuid())})
    table.commit(table.data(rows))
    table.commit(table.keys({"u": rows["u"].combine_chunks()[1:2]}))

    assert [row[0].int for row in table.rows()] == [0, 2]


def test_a_promoted_type_is_compared_in_the_wider_one(deleted_table: Callable[..., Any]) -> None:
    """Deletes and data from before and after a promotion meet in the type of today."""
    table = deleted_table(pa.schema([("k", pa.int32())]))
    table.commit(table.data(pa.table({"k": pa.array([1, 2, 3, 4], pa.int32())})))
    table.commit(table.keys({"k": [1]}))
    with table.iceberg.update_schema() as update:
        update.update_column("k", LongType())
    table.table.refresh()
    table.commit(table.data(pa.table({"k": [3, 2**40, 2**41]})))
    table.commit(table.keys({"k": [3, 2**40]}))

    assert table.rows() == [(2,), (2**41,), (4,)]


def test_a_dropped_column_is_still_compared(deleted_table: Callable[..., Any]) -> None:
    """The column left the table, its name went to another one, and the deletes by it hold."""
    table = deleted_table(pa.schema([("id", pa.int64()), ("k", pa.int32())]))
    table.commit(table.data(pa.table({"id": [1, 2, 3], "k": pa.array([7, 8, 7], pa.int32())})))
    table.commit(table.keys({"k": [7]}))
    for change in (lambda update: update.delete_column("k"), lambda update: update.add_column("k", StringType())):
        with table.iceberg.update_schema(allow_incompatible_changes=True) as update:
            change(update)
        table.table.refresh()
    table.commit(table.data(pa.table({"id": [4], "k": ["7"]})))

    assert table.rows() == [(2, None), (4, "7")]
    assert table.rows(columns=["id"], where="k is null") == [(2,)]


def test_an_added_column_is_null_in_older_files(deleted_table: Callable[..., Any]) -> None:
    """A delete by a column that a file doesn't have compares null."""
    table = deleted_table(pa.schema([("id", pa.int64())]))
    table.commit(table.data(pa.table({"id": [1, 2]})))
    with table.iceberg.update_schema() as update:
        update.add_column("k", LongType())
    table.table.refresh()
    table.commit(table.data(pa.table({"id": [3, 4], "k": [None, 5]})))
    table.commit(table.keys({"id": [1, 3, 4], "k": [None, None, None]}))

    assert table.rows() == [(2, None), (4, 5)]


def test_a_field_of_a_struct_is_compared(deleted_table: Callable[..., Any]) -> None:
    """A leaf of a struct may be part of a key; where the struct is null, it is."""
    kind = pa.struct([("city", pa.string()), ("zip", pa.int64())])
    table = deleted_table(pa.schema([("id", pa.int64()), ("a", kind)]))
    places = [{"city": "Ulm", "zip": 1}, {"city": "Bonn", "zip": 1}, None, {"city": None, "zip": 4}]
    table.commit(table.data(pa.table({"id": [1, 2, 3, 4], "a": pa.array(places, kind)})))
    schema = table.iceberg.schema()
    city = schema.find_field("a.city").field_id
    part = pa.struct([pa.field("city", pa.string(), metadata={"PARQUET:field_id": str(city)})])
    outer = pa.field("a", part, metadata={"PARQUET:field_id": str(schema.find_field("a").field_id)})
    table.commit(table.equality(pa.table([pa.array([{"city": "Bonn"}], part)], schema=pa.schema([outer])), [city]))

    assert [row[0] for row in table.rows(columns=["id"])] == [1, 3, 4]

    table.commit(table.equality(pa.table([pa.array([{"city": None}], part)], schema=pa.schema([outer])), [city]))

    assert [row[0] for row in table.rows(columns=["id", "a"])] == [1]


def test_a_column_in_a_list_is_refused(deleted_table: Callable[..., Any]) -> None:
    """No row has one value of a list's elements: the file and the column are named."""
    table = deleted_table(pa.schema([("l", pa.list_(pa.int64()))]))
    table.commit(table.data(pa.table({"l": [[1]]})))
    table.commit(table.equality(pa.table({"x": [1]}), [table.iceberg.schema().find_field("l.element").field_id]))

    with pytest.raises(UnsupportedError, match=r"equality\.parquet deletes by column 'l\.element'"):
        table.rows()


def test_a_delete_file_without_its_column_is_damaged(deleted_table: Callable[..., Any]) -> None:
    """A column that isn't in the file would compare as null with every row."""
    table = deleted_table(pa.schema([("id", pa.int64()), ("k", pa.int64())]))
    table.commit(table.data(pa.table({"id": [1], "k": [None]}, pa.schema([("id", pa.int64()), ("k", pa.int64())]))))
    wrong = table.keys({"id": [1]})
    wrong[14] = [1, 2]
    table.commit(wrong)

    with pytest.raises(CorruptFileError, match=r"equality\.parquet.* lacks the column with id 2"):
        table.rows()


@pytest.mark.parametrize("ids", [[99], []])
def test_unknown_columns_are_damage(deleted_table: Callable[..., Any], ids: list[int]) -> None:
    """Without a column to compare nothing can be told of any row."""
    table = deleted_table(pa.schema([("id", pa.int64())]))
    table.commit(table.data(pa.table({"id": [1]})))
    table.commit(table.equality(pa.table({"id": [1]}), ids))

    with pytest.raises(CorruptFileError, match=r"equality\.parquet"):
        table.rows()


def test_many_small_commits_read_each_delete_file_once(deleted_table: Callable[..., Any]) -> None:
    """Each commit upserts a row: however many older files a delete applies to, it is read once, the first never."""
    table = deleted_table(pa.schema([("id", pa.int64()), ("v", pa.int64())]))
    for commit in range(12):
        rows = pa.table({"id": [commit % 5, 100 + commit], "v": [commit, commit]})
        table.commit(table.data(rows), table.keys({"id": [commit % 5]}))
    scan = table.table.scan()

    found = scan.read().to_arrow()

    kept = dict(zip(found["id"].to_pylist(), found["v"].to_pylist(), strict=True))
    assert kept == {0: 10, 1: 11, 2: 7, 3: 8, 4: 9} | {100 + each: each for each in range(12)}
    assert scan.report().delete_files == 11
