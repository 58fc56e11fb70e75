"""Manifests written by workers: the same table as a driver makes alone, for less of the driver's time."""

from __future__ import annotations

import math
import re
from typing import Any

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.runs.outputs import packing, publishing
from lakeflow.runs.outputs.packing import ranges
from lakeflow_io.errors import StoreError
from lakeflow_io.iceberg import pack, snapshot_internals

SCHEMA = pa.schema([("id", pa.int64()), ("part", pa.string()), ("score", pa.float64())])


@pytest.fixture(autouse=True)
def by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of files; several ranges, and several blocks in a manifest."""
    monkeypatch.setattr(publishing, "PACK_FROM_BYTES", 0)
    monkeypatch.setattr(packing, "_RANGE_BYTES", 5000)
    monkeypatch.setattr(snapshot_internals, "_BLOCK_ENTRIES", 2)


def rows(number: int) -> pa.Table:
    """Two partitions, nulls and NaN among them."""
    return pa.table({"id": [number, number + 100], "part": ["a", None], "score": [math.nan, number / 2]}, schema=SCHEMA)


def run(table: lf.Table, run_id: str, items: int = 8, **options: Any) -> lf.Run:
    """Two files an item."""
    return lf.foreach(list(range(items)), rows, into=table, run_id=run_id, engine="serial", **options)


def make(lake: lf.Lake, name: str, **options: Any) -> lf.Table:
    """Partitioned by a text."""
    return lake.create_table(name, SCHEMA, partition_by="part", properties=options)


def summary(table: lf.Table) -> dict[str, str]:
    """What the newest snapshot says, less what no two runs have in common."""
    found = table.refresh().snapshot
    assert found is not None
    unequal = ("lakeflow.seconds", "lakeflow.plan-digest")
    told = {name: text for name, text in found.summary.items() if name not in unequal and "files-size" not in name}
    return {name: re.sub(r"added-files-size=\d+", "", text) for name, text in told.items()}


def described(table: lf.Table) -> list[dict[str, Any]]:
    """What manifests say of each file, less what no two have in common."""
    files = table.files().drop(["path", "snapshot_id", "bytes", "split_offsets", "column_sizes"])
    return [{name: str(value) for name, value in file.items()} for file in files.to_pylist()]


def test_a_table_is_the_same_as_by_the_driver(lake: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, counts, statistics, pruning and the snapshot's summary are equal, by our reader and by pyiceberg's."""
    partitions = {"write.summary.partition-limit": "10"}
    packed, plain = make(lake, f"{namespace}.packed", **partitions), make(lake, f"{namespace}.plain", **partitions)
    for table in (packed, plain):
        run(table, "first", 1)
    run(packed, "r")
    monkeypatch.setattr(publishing, "PACK_FROM_BYTES", 1 << 40)
    run(plain, "r")

    assert summary(packed) == summary(plain)
    assert len(packed.manifests()) > len(plain.manifests()) == 2
    told = [sorted(described(table), key=str) for table in (packed, plain)]
    assert len(told[0]) == 18
    assert told[0] == told[1]
    for table in (packed, plain):
        assert sorted(table.scan(where="part = 'a' and id < 3").read().to_arrow()["id"].to_pylist()) == [0, 0, 1, 2]
        assert len(table.scan(where="id = 105").pieces) == 1
        assert len(list(table.iceberg.scan(row_filter="part = 'a'").plan_files())) == 9
        assert table.iceberg.scan().to_arrow().num_rows == 18


def test_entries_inherit_from_the_snapshot(embedded: lf.Lake, namespace: str) -> None:
    """No entry names a snapshot or a sequence number; the manifest list does, and a later change finds the files."""
    table = make(embedded, f"{namespace}.t")
    made = run(table, "r")
    table.refresh()
    io = table.iceberg.io
    manifests = table.iceberg.current_snapshot().manifests(io)  # type: ignore[union-attr]

    entries = [entry for manifest in manifests for entry in manifest.fetch_manifest_entry(io)]
    assert {manifest.added_snapshot_id for manifest in manifests} == {made.snapshot_id}
    assert {(entry.snapshot_id, entry.sequence_number) for entry in entries} == {(made.snapshot_id, 1)}
    assert {manifest.min_sequence_number for manifest in manifests} == {1}

    table.delete("id >= 100")
    table.overwrite([{"id": 7, "part": "a", "score": 1.0}], where="id > 3")
    assert sorted(table.refresh().scan().read().to_arrow()["id"].to_pylist()) == [0, 1, 2, 3, 7]


@pytest.mark.parametrize("mode", ["overwrite", "overwrite-partitions"])
def test_modes_know_which_partitions_come(embedded: lf.Lake, namespace: str, mode: Any) -> None:
    """From what commit tasks tell, without reading a marker."""
    table = make(embedded, f"{namespace}.t")
    table.append(pa.table({"id": [1000, 1001], "part": ["a", "b"], "score": [1.0, 2.0]}))

    run(table, "r", mode=mode)

    found = sorted(table.refresh().scan().read().to_arrow()["id"].to_pylist())
    assert found == [*range(8), *range(100, 108), *([1001] if mode == "overwrite-partitions" else [])]


def test_a_resume_uses_what_tasks_wrote(embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver died after the tasks: their manifests are recorded, and not written again."""
    table = make(embedded, f"{namespace}.t")

    def refuse(*_: Any) -> Any:
        raise StoreError("The catalog is down.")

    with monkeypatch.context() as patch:
        patch.setattr(publishing.Publisher, "_release", refuse)
        with pytest.raises(StoreError):
            run(table, "r")
    monkeypatch.setattr(pack.Packer, "pack", None)

    run(table, "r")

    assert table.refresh().scan().read().to_arrow().num_rows == 16


def test_a_task_that_lost_deletes_its_manifests(
    embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A twin was faster: its manifests are the ones that are committed."""
    table = make(embedded, f"{namespace}.t")
    original, tasks = pack.Packer.pack, list[Any]()

    def twice(self: pack.Packer, name: str, staged: Any) -> Any:
        if not tasks:
            tasks.append(name)
            packing.run_pack(current[0])
        return original(self, name, staged)

    current: list[packing.PackTask] = []
    submit = packing.run_pack

    def remember(task: packing.PackTask) -> Any:
        current[:] = [task]
        return submit(task)

    monkeypatch.setattr(packing, "run_pack", remember)
    monkeypatch.setattr(pack.Packer, "pack", twice)
    run(table, "r")

    from lakeflow_io.storage import open_transport

    there = {info.uri for info in open_transport({}).list(f"{table.location}/metadata") if "-packed-" in info.uri}
    assert there == {manifest["path"] for manifest in table.refresh().manifests().to_pylist()}
    assert table.scan().read().to_arrow().num_rows == 16


def test_a_store_that_fails_once_is_asked_again(
    embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit task is repeated; one that keeps failing ends the run, which can be resumed."""
    table = make(embedded, f"{namespace}.t")
    original, failed = pack.Packer.pack, list[str]()

    def fails(self: pack.Packer, name: str, staged: Any) -> Any:
        if failed.count(name) < left:
            failed.append(name)
            raise StoreError("not now")
        return original(self, name, staged)

    monkeypatch.setattr(pack.Packer, "pack", fails)
    left = 100
    with pytest.raises(StoreError, match="not now"):
        run(table, "r")
    failed.clear()
    left = 3
    run(table, "r")

    assert table.refresh().scan().read().to_arrow().num_rows == 16


def test_tables_of_version_1_are_committed_by_the_driver(embedded: lf.Lake, namespace: str) -> None:
    """Their entries can't inherit."""
    table = make(embedded, f"{namespace}.t", **{"format-version": "1"})

    run(table, "r")

    assert len(table.refresh().manifests()) == 1
    assert table.scan().read().to_arrow().num_rows == 16


def test_a_partition_that_version_1_has_dropped_is_null(embedded: lf.Lake, namespace: str) -> None:
    """By a required column, too; a table that is of version 2 by now still has it."""
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by="id", properties={"format-version": "1"})
    table.update_partitions(drop="id")
    with table.iceberg.transaction() as change:
        change.upgrade_table_version(2)

    lf.foreach(list(range(4)), lambda n: pa.table({"id": [n]}, schema), into=table, run_id="r", engine="serial")

    assert table.refresh().partition_by == ["void(id)"]
    assert sorted(table.scan().read().to_arrow()["id"].to_pylist()) == [0, 1, 2, 3]
    assert sorted(table.iceberg.scan().to_arrow()["id"].to_pylist()) == [0, 1, 2, 3]


def test_a_manifest_has_a_size(embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One task writes several where its files would make too large a one, and loses none between two."""
    monkeypatch.setattr(pack, "_TARGET_BYTES", 1)
    monkeypatch.setattr(packing, "_RANGE_BYTES", 1 << 40)
    table = make(embedded, f"{namespace}.t")

    run(table, "r")

    assert len(table.refresh().manifests()) == 8
    assert table.scan().read().to_arrow().num_rows == 16


def test_ranges_are_cut_by_bytes() -> None:
    """The same ones in every driver, each of at least so many bytes but the last."""
    ids = [f"shard-{number:05d}" for number in range(7)]

    assert list(ranges(ids, lambda _: 2500)) == [tuple(ids[:2]), tuple(ids[2:4]), tuple(ids[4:6]), (ids[6],)]
    assert list(ranges([], lambda _: 1)) == []
