"""Rows staged by partition, committed once, read the same by us and by others."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table.metadata import TableMetadataV3

from lakeflow_io.errors import SchemaError, UnsupportedError
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.commit import commit_change, find_snapshot
from lakeflow_io.iceberg.stage import Stager
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    import lakeflow as lf

ROWS = 60
COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "boolean": (pa.bool_(), [True, False]),
    "int32": (pa.int32(), [-1, 0, 7]),
    "int64": (pa.int64(), [-(2**60), 0, 2**60]),
    "float32": (pa.float32(), [-1.5, 0.0, 2.25]),
    "float64": (pa.float64(), [-1.5, 0.1, 1e300]),
    "text": (pa.string(), ["", "a b/c=d", "ü%20", "x" * 40]),
    "bytes": (pa.binary(), [b"", b"\x00\xff", b"abc"]),
    "fixed": (pa.binary(4), [b"abcd", b"\x00\x00\x00\xff"]),
    "date": (pa.date32(), [dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29)]),
    "time": (pa.time64("us"), [dt.time(0, 0), dt.time(23, 59, 59, 999999)]),
    "timestamp": (
        pa.timestamp("us"),
        [dt.datetime.fromisoformat("1969-12-31T23:59"), dt.datetime.fromisoformat("2024-02-29T12:00")],
    ),
    "timestamptz": (
        pa.timestamp("us", "UTC"),
        [dt.datetime(1969, 12, 31, 23, 59, tzinfo=dt.UTC), dt.datetime(2024, 2, 29, tzinfo=dt.UTC)],
    ),
    "decimal": (pa.decimal128(9, 2), [Decimal("-1.50"), Decimal("0.00"), Decimal("1234567.89")]),
    "wide": (pa.decimal128(30, 5), [Decimal("-1.50000"), Decimal("1234567890123456789.12345")]),
}
TERMS = [
    *COLUMNS,
    "bucket(4, int32)", "bucket(4, int64)", "bucket(4, text)", "bucket(4, date)", "bucket(4, timestamp)",
    "bucket(4, decimal)", "bucket(4, bytes)",
    "truncate(10, int32)", "truncate(100, int64)", "truncate(2, text)", "truncate(50, decimal)",
    "year(date)", "month(date)", "day(date)",
    "year(timestamp)", "month(timestamp)", "day(timestamp)", "hour(timestamp)", "hour(timestamptz)",
]  # fmt: skip


def rows(column: str) -> pa.Table:
    """Values of one type in turn, with nulls between them."""
    kind, values = COLUMNS[column]
    cycle = [*values, None]
    return pa.table(
        {"id": pa.array(range(ROWS), pa.int64()), column: pa.array([cycle[n % len(cycle)] for n in range(ROWS)], kind)}
    )


def plain(data: pa.Table) -> list[dict[str, Any]]:
    """Rows in the order of their ids."""
    return data.sort_by("id").to_pylist()


@pytest.mark.parametrize("term", TERMS)
def test_every_transform_takes_every_value_and_back(embedded: lf.Lake, namespace: str, term: str) -> None:
    """Rows with nulls survive partitioning by any transform of any type, for us and for pyiceberg's reader."""
    column = next(name for name in sorted(COLUMNS, key=len, reverse=True) if name in term)
    data = rows(column)
    table = embedded.create_table(f"{namespace}.t", data.schema, partition_by=[term])

    table.append(data)

    assert plain(data) == plain(table.scan().read().to_arrow())
    assert plain(data) == plain(table.iceberg.scan().to_arrow().cast(data.schema))
    shards = table.scan().shards(by="partition")
    assert len(shards) == len({shard.partition for shard in shards}) > 1


@pytest.mark.parametrize("column", ["int64", "text", "date", "timestamp", "boolean", "decimal"])
def test_a_partitions_value_prunes(embedded: lf.Lake, namespace: str, column: str) -> None:
    """A filter on an identity column plans its partition's files only, and loses no row."""
    data = rows(column)
    table = embedded.create_table(f"{namespace}.t", data.schema, partition_by=[column])
    table.append(data)

    missing = table.scan(where=f"{column} is null")

    assert len(missing.pieces) == 1
    assert sum(each is None for each in data[column].to_pylist()) == len(missing.read())


def test_data_files_carry_statistics(embedded: lf.Lake, namespace: str) -> None:
    """Manifests hold sizes, counts, bounds and split offsets, so that any engine can prune."""
    schema = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("text", pa.string())])
    properties = {"write.parquet.row-group-limit": "10"}
    table = embedded.create_table(f"{namespace}.t", schema, properties=properties, sort_by=["id"])

    table.append(pa.table({"id": list(range(30, 0, -1)), "x": [float("nan"), None, *[1.0] * 28], "text": ["t"] * 30}))

    [task] = table.iceberg.scan().plan_files()
    file = task.file
    assert (file.record_count, len(file.split_offsets)) == (30, 3)
    assert dict(file.value_counts) == {1: 30, 2: 30, 3: 30}
    assert dict(file.null_value_counts) == {1: 0, 2: 1, 3: 0}
    assert (1).to_bytes(8, "little") == file.lower_bounds[1]
    assert (30).to_bytes(8, "little") == file.upper_bounds[1]
    assert file.lower_bounds[3] == b"t"
    assert set(file.column_sizes) == {1, 2, 3}
    assert list(range(1, 31)) == table.scan().read().to_arrow()["id"].to_pylist()


def test_bounds_prune_files(embedded: lf.Lake, namespace: str) -> None:
    """A filter skips files whose bounds exclude it."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]))
    for start in (0, 100, 200):
        table.append(pa.table({"id": list(range(start, start + 100))}))

    scan = table.scan(where="id >= 150 and id < 160")

    assert len(scan.pieces) == 1
    assert list(range(150, 160)) == scan.read().to_arrow()["id"].to_pylist()


def test_polars_reads_what_we_write(embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars' own Iceberg scan has the same rows, partitioned or not."""
    import polars as pl

    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    table = embedded.create_table(f"{namespace}.t", rows("text").schema, partition_by=["bucket(3, id)"])
    table.append(rows("text"))

    found = pl.scan_iceberg(table.iceberg).sort("id").collect()

    assert plain(rows("text")) == found.to_dicts()


def test_files_are_sorted_and_described_in_json(embedded: lf.Lake, namespace: str) -> None:
    """Each staged file is in the table's order, and its description survives JSON."""
    schema = pa.schema([("id", pa.int64()), ("x", pa.int64())])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by=["bucket(2, id)"], sort_by=["x desc", "id"])
    stager = Stager.for_table(table.iceberg, table.name)

    staged = stager.write("run-a0", pa.table({"id": list(range(40)), "x": [*range(19), None] * 2}))

    assert staged == json.loads(json.dumps(staged))
    assert len(staged) == 2
    for file in staged:
        assert "/run-a0-" in file["path"]
        data = pq.read_table(pa.BufferReader(open_transport(stager.store).get(file["path"])))
        order = [(each["x"] is None, -(each["x"] or 0), each["id"]) for each in data.to_pylist()]
        assert sorted(order) == order


def test_staged_files_are_invisible_until_committed(embedded: lf.Lake, namespace: str) -> None:
    """Staging changes no snapshot; the commit shows all files at once, labelled."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]))
    stager = Stager.for_table(table.iceberg, table.name)
    staged = stager.write("a", pa.table({"id": [1]})) + stager.write("b", pa.table({"id": [2]}))
    before = table.refresh().snapshot

    snapshot, _ = commit_change(table.iceberg, table.name, Change("append", added=staged), {"lakeflow.run-id": "run-7"})

    assert before is None
    assert find_snapshot(table.refresh().iceberg, "run-7").snapshot_id == snapshot.snapshot_id
    assert find_snapshot(table.iceberg, "run-8") is None
    assert sorted(table.scan().read().to_arrow()["id"].to_pylist()) == [1, 2]


def test_files_keep_the_spec_that_they_were_staged_under(embedded: lf.Lake, namespace: str) -> None:
    """A table may be partitioned anew between a worker's write and the driver's commit."""
    schema = pa.schema([("id", pa.int64()), ("kind", pa.string())])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by=["kind"])
    staged = Stager.for_table(table.iceberg, table.name).write("a", pa.table({"id": [1, 2], "kind": ["x", "y"]}))
    with table.iceberg.update_spec() as update:
        update.remove_field("kind").add_field("id", "bucket[4]")
    table.refresh()
    staged += Stager.for_table(table.iceberg, table.name).write("b", pa.table({"id": [3], "kind": ["x"]}))

    commit_change(table.iceberg, table.name, Change("append", added=staged), {})

    assert sorted(row["id"] for row in table.refresh().scan().read().to_pylist()) == [1, 2, 3]
    assert sorted(row["id"] for row in table.scan(where="kind = 'x'").read().to_pylist()) == [1, 3]
    assert sorted(table.iceberg.inspect.files()["spec_id"].to_pylist()) == [0, 0, 1]
    assert table.snapshot.summary["total-records"] == "3"


def test_discarded_files_are_gone(embedded: lf.Lake, namespace: str) -> None:
    """What an attempt that lost had written is deleted; a second time is no error."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]))
    stager = Stager.for_table(table.iceberg, table.name)
    staged = stager.write("a", pa.table({"id": [1]}))

    stager.discard(staged)
    stager.discard(staged)

    assert list(open_transport(stager.store).list(stager.folder)) == []


def test_data_that_does_not_fit_leaves_no_file(embedded: lf.Lake, namespace: str) -> None:
    """A refused write puts nothing into the table's folder."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]))

    with pytest.raises(SchemaError):
        table.append({"id": ["x"]})

    assert list(open_transport({}).list(f"{table.location}/data")) == []
    assert table.refresh().snapshot is None


def test_a_table_of_a_newer_version_is_refused(embedded: lf.Lake, namespace: str) -> None:
    """Before anything is written."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())])).iceberg
    facts = json.loads(table.metadata.model_dump_json())
    table.metadata = TableMetadataV3.model_validate({**facts, "format-version": 3, "next-row-id": 0})

    with pytest.raises(UnsupportedError, match="format version 3"):
        Stager.for_table(table, "t")


def test_no_rows_are_no_file(embedded: lf.Lake, namespace: str) -> None:
    """An empty table stages nothing."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]), partition_by=["id"])

    assert Stager.for_table(table.iceberg, table.name).write("a", pa.table({"id": pa.array([], pa.int64())})) == []
