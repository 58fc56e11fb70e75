"""Files, manifests, partitions, refs and history as Arrow tables."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf


@pytest.fixture
def table(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Two appends of ten rows into two buckets, in each kind of lake."""
    made = lake.create_table(f"{namespace}.t", numbers(1).schema, partition_by=["bucket(2, id)"])
    made.append(numbers(10))
    made.append(numbers(10, 10))
    return made


def test_files_are_those_that_a_scan_reads(table: lf.Table) -> None:
    """Paths, sizes and rows agree with the plan; of any snapshot."""
    for snapshot in (None, table.snapshots()[0].id):
        files, pieces = table.files(snapshot).sort_by("path"), table.scan(snapshot=snapshot).pieces

        assert [(piece.path, piece.file_size, piece.rows, piece.partition) for piece in pieces] == list(
            zip(*(files[name].to_pylist() for name in ("path", "bytes", "rows", "partition")), strict=True)
        )
        assert set(files["content"].to_pylist()) == {"data"}


def test_bounds_and_counts_are_read_by_name(table: lf.Table) -> None:
    """Lower and upper bounds in the column's own type, for any engine to query."""
    files = duckdb.from_arrow(table.files())

    found = files.aggregate(
        "min(lower_bounds.id), max(upper_bounds.id), max(upper_bounds.half), sum(null_value_counts.text), "
        "sum(value_counts.id)"
    ).fetchall()

    assert found == [(0, 19, 9.5, 0, 20)]


def test_bounds_of_each_type(embedded: lf.Lake, namespace: str) -> None:
    """Every primitive type with bounds comes back as itself; a nested one by its dotted name."""
    row: dict[str, Any] = {
        "i": 3, "l": 2**40, "f": 0.5, "d": 0.25, "b": True, "s": "text", "raw": b"\x00\xff", "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 1, 2, 3, 4), "utc": datetime(2024, 2, 29, tzinfo=UTC), "dec": Decimal("12.34"),  # noqa: DTZ001
        "uuid": UUID(int=7), "in": {"x": 9}, "list": [1, 2],
    }  # fmt: skip
    kinds = [
        pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), pa.date32(),
        pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.decimal128(9, 2), pa.uuid(), pa.struct([("x", pa.int32())]),
        pa.list_(pa.int32()),
    ]  # fmt: skip
    schema = pa.schema(list(zip(row, kinds, strict=True)))
    table = embedded.create_table(f"{namespace}.types", schema)
    table.append([{**row, "uuid": row["uuid"].bytes}])

    [lower] = table.files()["lower_bounds"].to_pylist()

    flat = {name: value for name, value in row.items() if name not in ("in", "list")}
    assert flat == {name: lower[name] for name in flat}
    assert {"in.x", "list.element"} <= set(lower)


def test_statistics_follow_columns_through_evolution(embedded: lf.Lake, namespace: str) -> None:
    """By field id: a renamed and widened column keeps its bounds, a new one of an old name has none."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("a", pa.int32()), ("b", pa.float32())]))
    table.append({"a": [1, 5], "b": [0.5, math.nan]})
    with table.update_schema() as change:
        change.rename("a", "old").promote("old", pa.int64()).drop("b")
    with table.update_schema() as change:
        change.add("b", pa.string())

    [row] = table.files().to_pylist()

    assert (row["lower_bounds"], row["upper_bounds"]) == ({"old": 1, "b": None}, {"old": 5, "b": None})
    assert table.files(table.snapshots()[0].id)["lower_bounds"].to_pylist()[0]["a"] == 1


def test_manifests_count_what_they_list(table: lf.Table) -> None:
    """One for each append, with its files, its rows and its range of partitions."""
    manifests = table.manifests()

    assert manifests["added_rows"].to_pylist() == [10, 10]
    assert sum(manifests["added_files"].to_pylist()) == table.files().num_rows
    assert manifests["snapshot_id"].to_pylist() == [each.id for each in reversed(table.snapshots())]
    assert manifests["partitions"].to_pylist()[0][0] == {
        "field": "id_bucket", "contains_null": False, "contains_nan": False, "lower": "0", "upper": "1",
    }  # fmt: skip


def test_partitions_add_up(table: lf.Table) -> None:
    """Rows, files and bytes by partition, with the snapshot that changed it last."""
    partitions, files = table.partitions(), table.files()

    assert partitions["partition"].to_pylist() == ["id_bucket=0", "id_bucket=1"]
    assert sum(partitions["rows"].to_pylist()) == 20
    assert sum(partitions["bytes"].to_pylist()) == sum(files["bytes"].to_pylist())
    assert set(partitions["last_snapshot_id"].to_pylist()) == {table.snapshot.id}
    assert table.partitions(table.snapshots()[0].id)["rows"].to_pylist() != partitions["rows"].to_pylist()


def test_an_unpartitioned_table_has_one_partition(embedded: lf.Lake, namespace: str, numbers: Any) -> None:
    """It has no name."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)
    table.append(numbers(3))

    assert [(row["partition"], row["rows"]) for row in table.partitions().to_pylist()] == [("", 3)]


def test_history_tells_what_was_rolled_back(table: lf.Table) -> None:
    """Each move of main is a row, and says whether it still leads to the current snapshot."""
    first, second = table.snapshots()
    table.iceberg.manage_snapshots().rollback_to_snapshot(first.id).commit()

    history = table.refresh().history()

    assert history["snapshot_id"].to_pylist() == [first.id, second.id, first.id]
    assert history["is_current_ancestor"].to_pylist() == [True, False, True]
    assert history["made_current"].to_pylist()[:2] == [first.committed, second.committed]


def test_refs_are_sorted_by_name(table: lf.Table) -> None:
    """Branches and tags with their snapshots."""
    table.tag("a-tag", table.snapshots()[0].id)
    table.branch("z-branch")

    rows = [(row["name"], row["type"], row["snapshot_id"]) for row in table.refs().to_pylist()]

    first, second = table.snapshots()
    assert rows == [("a-tag", "tag", first.id), ("main", "branch", second.id), ("z-branch", "branch", second.id)]


def test_an_empty_table_has_empty_tables(embedded: lf.Lake, namespace: str, numbers: Any) -> None:
    """With all their columns."""
    table = embedded.create_table(f"{namespace}.empty", numbers(1).schema)

    for found in (table.files(), table.manifests(), table.partitions(), table.refs(), table.history()):
        assert found.num_rows == 0
        assert found.num_columns > 3
    assert table.files().schema.field("lower_bounds").type.field("id").type == pa.int64()
