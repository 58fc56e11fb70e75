"""A null list is no empty list, whatever happened to the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.types import LongType

if TYPE_CHECKING:
    import lakeflow as lf

POINT = pa.struct([("x", pa.int32()), ("y", pa.int32())])
SCHEMA = pa.schema(
    [
        ("k", pa.int64()),
        ("plain", pa.list_(pa.int64())),
        ("points", pa.list_(POINT)),
        ("nested", pa.list_(pa.list_(pa.int64()))),
        ("inner", pa.struct([("points", pa.list_(POINT))])),
        ("pairs", pa.map_(pa.string(), pa.int32())),
        ("deep", pa.map_(pa.string(), pa.list_(POINT))),
    ]
)
ONE = {"x": 1, "y": 2}
ROWS: list[dict[str, Any]] = [
    {"k": 1, "plain": [1], "points": [ONE], "nested": [[1], None, []], "inner": {"points": [ONE]}, "pairs": [("a", 1)],
     "deep": [("a", [ONE]), ("b", None), ("c", [])]},
    {"k": 2, "plain": None, "points": None, "nested": None, "inner": None, "pairs": None, "deep": None},
    {"k": 3, "plain": [], "points": [], "nested": [], "inner": {"points": None}, "pairs": [], "deep": []},
    {"k": 4, "plain": [None], "points": [None, ONE], "nested": [None], "inner": {"points": []}, "pairs": [("b", None)],
     "deep": [("a", [None])]},
]  # fmt: skip


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """`ROWS`."""
    made = embedded.create_table(f"{namespace}.lists", SCHEMA)
    made.append(pa.Table.from_pylist(ROWS, SCHEMA))
    return made


@pytest.mark.parametrize("column", SCHEMA.names)
def test_null_empty_and_full_are_three_things(table: lf.Table, column: str) -> None:
    """Each kind of list, alone and with all others, comes back as it was written."""
    alone = table.scan(columns=[column]).read().to_pylist()
    beside = table.scan().read().to_pylist()

    assert [{column: row[column]} for row in ROWS] == alone
    assert [row[column] for row in ROWS] == [row[column] for row in beside]


def test_a_filter_leaves_them_alone(table: lf.Table) -> None:
    """Rows that pass a filter keep their null lists."""
    assert ROWS[1:3] == table.scan(where="k >= 2 and k <= 3").read().to_pylist()


def test_an_unrelated_column_changes_nothing(table: lf.Table) -> None:
    """Columns were added, renamed and promoted elsewhere: lists read as before."""
    with table.iceberg.update_schema() as update:
        update.add_column("more", LongType())
        update.rename_column("k", "key")
        update.move_first("more")
    table.refresh()

    found = table.scan().read().to_pylist()

    assert [{"more": None, "key": row["k"], **{n: row[n] for n in SCHEMA.names[1:]}} for row in ROWS] == found


def test_a_renamed_list_keeps_its_nulls(table: lf.Table) -> None:
    """A list under a new name is the same list."""
    with table.iceberg.update_schema() as update:
        update.rename_column("points", "places")
    table.refresh()

    found = table.scan(columns=["places"]).read().to_pylist()

    assert [{"places": row["points"]} for row in ROWS] == found


@pytest.mark.parametrize("path", ["points.element", "inner.points.element", "deep.value.element"])
def test_a_list_that_evolved_keeps_its_nulls(table: lf.Table, path: str) -> None:
    """A field is added to the struct in a list, and one is widened: null, empty and full stay three things."""
    with table.update_schema() as change:
        change.add(f"{path}.z", pa.int64()).promote(f"{path}.x", pa.int64())

    column = path.partition(".")[0]
    expected = [with_z(row[column]) for row in ROWS]
    assert expected == [row[column] for row in table.scan().read().to_pylist()]
    assert [row["k"] for row in table.scan(columns=["k"]).read().to_pylist()] == [1, 2, 3, 4]


def with_z(value: Any) -> Any:
    """The same, with a null `z` beside each `x`."""
    if isinstance(value, dict):
        added = {"z": None} if "x" in value else {}
        return {**{name: with_z(each) for name, each in value.items()}, **added}
    if isinstance(value, list | tuple):
        return type(value)(with_z(each) for each in value)
    return value


def test_a_list_that_evolved_reads_where_it_holds_no_nulls(embedded: lf.Lake, namespace: str) -> None:
    """Without null lists the added field is null, and types are promoted."""
    schema = pa.schema([("k", pa.int64()), ("points", pa.list_(POINT))])
    table = embedded.create_table(f"{namespace}.full", schema)
    table.append(pa.Table.from_pylist([{"k": 1, "points": [ONE, ONE]}, {"k": 2, "points": []}], schema))
    with table.iceberg.update_schema() as update:
        update.add_column(("points", "z"), LongType())
        update.update_column(("points", "x"), LongType())
    table.refresh()

    found = table.scan().read().to_pylist()

    assert found == [{"k": 1, "points": [{**ONE, "z": None}] * 2}, {"k": 2, "points": []}]
