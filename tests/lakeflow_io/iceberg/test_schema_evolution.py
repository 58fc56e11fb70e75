"""Columns are matched by field id: files written under an older schema read as the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.types import DoubleType, LongType, StringType

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

OLD = pa.schema([("id", pa.int32()), ("name", pa.string()), ("score", pa.float32())])


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """A table with three rows under its first schema."""
    made = embedded.create_table(f"{namespace}.evolving", OLD)
    made.append(pa.table({"id": [1, 2, 3], "name": ["a", "b", None], "score": [0.5, None, 2.5]}))
    return made


def evolve(table: lf.Table, change: Callable[[Any], None]) -> None:
    """Change the schema as another client would."""
    with table.iceberg.update_schema(allow_incompatible_changes=True) as update:
        change(update)
    table.refresh()


def test_a_renamed_column_keeps_its_rows(table: lf.Table) -> None:
    """The new name reads what was written under the old one; the old name is gone."""
    evolve(table, lambda update: update.rename_column("name", "title"))

    found = table.scan(columns=["title"], where="title = 'a' or title is null").read()

    assert found.to_pylist() == [{"title": "a"}, {"title": None}]


def test_an_added_column_is_null_in_old_files(table: lf.Table) -> None:
    """Old files lack it, new ones have it, and a filter on it sees both."""
    evolve(table, lambda update: update.add_column("year", LongType()))
    table.append(pa.table({"id": [4], "year": [2000]}))

    assert [(row["id"], row["year"]) for row in sorted(table.scan().read().to_pylist(), key=lambda row: row["id"])] == [
        (1, None),
        (2, None),
        (3, None),
        (4, 2000),
    ]
    assert [row["id"] for row in table.scan(where="year = 2000").read().to_pylist()] == [4]
    assert [row["id"] for row in table.scan(columns=["id"], where="year is null").read().to_pylist()] == [1, 2, 3]


def test_only_a_column_that_old_files_lack(table: lf.Table) -> None:
    """A projection of nothing that is in a file still has the file's rows."""
    evolve(table, lambda update: update.add_column("year", LongType()))

    found = table.scan(columns=["year"]).read().to_pylist()

    assert found == [{"year": None}] * 3


def test_a_dropped_name_that_comes_back_is_another_column(table: lf.Table) -> None:
    """Values of a dropped column never appear under a new column of the same name."""
    evolve(table, lambda update: update.delete_column("name"))
    evolve(table, lambda update: update.add_column("name", StringType()))

    found = table.scan(columns=["id", "name"]).read().to_pylist()

    assert [{"id": each, "name": None} for each in (1, 2, 3)] == found


def test_promoted_types_read_old_files(table: lf.Table) -> None:
    """An int becomes long and float becomes double, value for value, also in a filter beyond the old range."""

    def promote(update: Any) -> None:
        update.update_column("id", LongType())
        update.update_column("score", DoubleType())

    evolve(table, promote)
    table.append(pa.table({"id": [2**40], "name": ["big"], "score": [0.1]}))

    found = table.scan(where="id >= 2").read().to_arrow().sort_by("id")

    assert [pa.int64(), pa.string(), pa.float64()] == found.schema.types
    assert found["id"].to_pylist() == [2, 3, 2**40]
    assert found["score"].to_pylist() == [None, 2.5, 0.1]


def test_reordered_columns_come_in_the_new_order(table: lf.Table) -> None:
    """The schema's order is the order of the result, whatever the file's."""
    evolve(table, lambda update: update.move_first("score"))

    found = table.scan().read().to_arrow()

    assert found.column_names == ["score", "id", "name"]
    assert found["score"].to_pylist() == [0.5, None, 2.5]


def test_an_old_snapshot_is_read_with_its_own_schema(table: lf.Table) -> None:
    """Time travel sees the columns and names of that time."""
    before = table.snapshot
    evolve(table, lambda update: update.rename_column("name", "title").delete_column("score"))
    table.append(pa.table({"id": [4], "title": ["d"]}))

    found = table.scan(snapshot=before.id, where="score > 1").read().to_pylist()

    assert found == [{"id": 3, "name": None, "score": 2.5}]


def test_an_old_snapshots_filter_means_its_own_columns(table: lf.Table) -> None:
    """A name that has since been given to another column still filters by the old one."""
    before = table.snapshot
    evolve(table, lambda update: update.delete_column("name"))
    evolve(table, lambda update: update.add_column("name", LongType()))

    found = table.scan(snapshot=before.id, columns=["id"], where="name = 'b'").read().to_pylist()

    assert found == [{"id": 2}]


def test_a_field_of_a_struct_evolves(embedded: lf.Lake, namespace: str) -> None:
    """A renamed and an added field inside a struct read as columns do."""
    kind = pa.struct([("city", pa.string()), ("zip", pa.int32())])
    table = embedded.create_table(f"{namespace}.nested", pa.schema([("id", pa.int64()), ("address", kind)]))
    table.append(pa.table({"id": [1, 2], "address": pa.array([{"city": "Ulm", "zip": 1}, None], kind)}))

    def change(update: Any) -> None:
        update.rename_column("address.city", "town")
        update.add_column(("address", "country"), StringType())

    evolve(table, change)

    found = table.scan(columns=["address"]).read().to_pylist()

    assert found == [{"address": {"town": "Ulm", "zip": 1, "country": None}}, {"address": None}]


def test_a_filter_on_a_field_of_a_struct(embedded: lf.Lake, namespace: str) -> None:
    """`address.city = 'Ulm'` filters without the struct being asked for."""
    kind = pa.struct([("city", pa.string())])
    table = embedded.create_table(f"{namespace}.nested", pa.schema([("id", pa.int64()), ("address", kind)]))
    table.append(pa.table({"id": [1, 2], "address": pa.array([{"city": "Ulm"}, {"city": "Bonn"}], kind)}))

    found = table.scan(columns=["id"], where="address.city = 'Ulm'").read().to_pylist()

    assert found == [{"id": 1}]


def test_a_partition_that_changed_reads_whole(embedded: lf.Lake, namespace: str) -> None:
    """Files of an older partition spec are planned and read beside the new ones."""
    table = embedded.create_table(f"{namespace}.respec", OLD, partition_by=["name"])
    table.append(pa.table({"id": [1, 2], "name": ["a", "b"], "score": [1.0, 2.0]}))
    with table.iceberg.update_spec() as update:
        update.remove_field("name")
    table.refresh()
    table.append(pa.table({"id": [3], "name": ["a"], "score": [3.0]}))

    found = table.scan(columns=["id"], where="name = 'a'").read().to_arrow()

    assert sorted(found["id"].to_pylist()) == [1, 3]
