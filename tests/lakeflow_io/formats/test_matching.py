"""Columns of ORC and Avro files are matched by field id, or by the name mapping where they have none."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.table.name_mapping import create_mapping_from_schema
from pyiceberg.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from lakeflow_io.errors import DataError, UnsupportedError
from lakeflow_io.iceberg.internals import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["ORC", "AVRO"]
OLD = Schema(
    NestedField(1, "id", IntegerType()),
    NestedField(2, "price", FloatType()),
    NestedField(3, "m", DecimalType(9, 2)),
    NestedField(
        4,
        "s",
        StructType(NestedField(5, "a", IntegerType()), NestedField(6, "gone", StringType())),
    ),
    NestedField(7, "l", ListType(8, StructType(NestedField(9, "x", IntegerType())), element_required=False)),
    NestedField(10, "p", MapType(11, StringType(), 12, IntegerType(), value_required=False)),
)
NEW = Schema(
    NestedField(10, "pairs", MapType(11, StringType(), 12, LongType(), value_required=False)),
    NestedField(
        7,
        "l",
        ListType(
            8,
            StructType(
                NestedField(20, "new", StringType()),
                NestedField(9, "x2", LongType()),
                NestedField(21, "with_default", LongType(), initial_default=7),
            ),
            element_required=False,
        ),
    ),
    NestedField(4, "s", StructType(NestedField(22, "gone", StringType()), NestedField(5, "b", LongType()))),
    NestedField(3, "m", DecimalType(20, 2)),
    NestedField(2, "cost", DoubleType()),
    NestedField(1, "key", LongType()),
    NestedField(23, "price", StringType(), initial_default="none"),
)
ROWS = {
    "id": [1, None], "price": [1.5, None], "m": [None, "-7.25"], "s": [{"a": 1, "gone": "x"}, None],
    "l": [[{"x": 1}, None, {"x": None}], None], "p": [[("k", 1), ("j", None)], []],
}  # fmt: skip
WANTED = [
    {
        "pairs": [("k", 1), ("j", None)],
        "l": [{"new": None, "x2": 1, "with_default": 7}, None, {"new": None, "x2": None, "with_default": 7}],
        "s": {"gone": None, "b": 1}, "m": None, "cost": 1.5, "key": 1, "price": "none",
    },
    {"pairs": [], "l": None, "s": None, "m": "-7.25", "cost": None, "key": None, "price": "none"},
]  # fmt: skip


def old_rows() -> pa.Table:
    """Rows of `OLD`."""
    schema = arrow_schema(OLD)
    columns = {name: pa.array(values, schema.field(name).type) for name, values in ROWS.items() if name != "m"}
    columns["m"] = pa.array(ROWS["m"]).cast(pa.decimal128(9, 2))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def plain(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows with decimals as texts."""
    return [{n: str(v) if n == "m" and v is not None else v for n, v in row.items()} for row in rows.to_pylist()]


@pytest.fixture
def evolved(memory_files: Callable[..., Any]) -> Any:
    """A table with the newer schema."""
    made = memory_files(pa.schema([("id", pa.int64())]))
    made.schema = NEW
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_an_older_schema(evolved: Any, kind: str) -> None:
    """Columns and fields at every depth follow their ids: renamed, moved, promoted, dropped, added, with defaults."""
    evolved.put(kind, old_rows(), schema=OLD)

    assert plain(evolved.read()) == WANTED


@pytest.mark.parametrize("kind", KINDS)
def test_files_without_ids_follow_the_name_mapping(evolved: Any, kind: str) -> None:
    """A file that no Iceberg writer wrote: names say what ids would have said."""
    evolved.put(kind, old_rows(), schema=OLD, ids=False)
    spec = replace(evolved.spec(), name_mapping=create_mapping_from_schema(OLD))

    assert plain(evolved.read(spec)) == WANTED


@pytest.mark.parametrize("kind", KINDS)
def test_files_without_ids_and_mapping_are_refused(evolved: Any, kind: str) -> None:
    """Columns could only be guessed by name."""
    piece = evolved.put(kind, old_rows(), schema=OLD, ids=False)

    with pytest.raises(UnsupportedError, match=piece.path) as caught:
        evolved.read()

    assert "schema.name-mapping.default" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kinds", [(TimestampType(), TimestamptzType()), (TimestamptzType(), TimestampType())])
def test_moments_with_and_without_a_zone_are_no_other(evolved: Any, kind: str, kinds: Any) -> None:
    """A wall clock's time in a file is no point in time in the table: nobody knows where the clock hung."""
    have, want = kinds
    evolved.schema = Schema(NestedField(1, "at", want))
    zone = "UTC" if have == TimestamptzType() else None
    rows = pa.table({"at": pa.array([0], pa.timestamp("us", zone))})
    evolved.put(kind, rows, schema=Schema(NestedField(1, "at", have)))

    with pytest.raises(UnsupportedError, match=rf"file-000\.{kind.lower()}: column 'at' has {have} where .* {want}"):
        evolved.read()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_other_types_is_refused(evolved: Any, kind: str) -> None:
    """Text where the table has numbers is an error that names the file."""
    evolved.put(kind, pa.table({"key": ["a"]}), schema=Schema(NestedField(1, "key", StringType())))

    with pytest.raises(DataError, match=rf"file-000\.{kind.lower()}"):
        evolved.read(evolved.spec(["key"]))


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_a_file_leaves_to_its_partition(evolved: Any, kind: str) -> None:
    """A file may lack a column whose one value its partition has."""
    evolved.schema = Schema(NestedField(1, "id", LongType()), NestedField(2, "day", StringType()))
    piece = evolved.put(kind, pa.table({"id": [1, 2]}), schema=Schema(NestedField(1, "id", LongType())))

    found = evolved.read(evolved.spec(where="day = 'x'"), [replace(piece, constants=((2, "x"),))])

    assert found.to_pylist() == [{"id": 1, "day": "x"}, {"id": 2, "day": "x"}]


def test_avro_of_other_writers(evolved: Any) -> None:
    """Milliseconds, local timestamps, enumerations, named types that are used again, unions of one, null last."""
    evolved.schema = Schema(
        NestedField(1, "at", TimestampType()), NestedField(2, "moment", TimestamptzType()),
        NestedField(3, "word", StringType()), NestedField(4, "again", StringType()), NestedField(5, "n", LongType()),
    )  # fmt: skip
    word = {"type": "enum", "name": "Word", "namespace": "here", "symbols": ["yes", "no"]}
    written = {
        "type": "record", "name": "r", "namespace": "here",
        "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "local-timestamp-millis"}, "field-id": 1},
            {"name": "moment", "type": [{"type": "long", "logicalType": "timestamp-millis"}, "null"], "field-id": 2},
            {"name": "word", "type": word, "field-id": 3},
            {"name": "again", "type": ["null", "Word"], "field-id": 4},
            {"name": "n", "type": [{"type": "int"}], "field-id": 5},
        ],
    }  # fmt: skip
    file = io.BytesIO()
    rows = [{"at": 1500, "moment": 2500, "word": "yes", "again": "no", "n": 1},
            {"at": -1, "moment": None, "word": "no", "again": None, "n": -5}]  # fmt: skip
    fastavro.writer(file, written, rows)
    evolved.put("AVRO", pa.table({"n": [1, -5]}), file.getvalue())

    found = evolved.read()

    assert found["at"].cast(pa.int64()).to_pylist() == [1_500_000, -1000]
    assert found["moment"].cast(pa.int64()).to_pylist() == [2_500_000, None]
    assert found.select(["word", "again", "n"]).to_pylist() == [
        {"word": "yes", "again": "no", "n": 1},
        {"word": "no", "again": None, "n": -5},
    ]
