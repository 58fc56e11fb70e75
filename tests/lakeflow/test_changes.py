"""Rows that came to a table between two of its snapshots."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoded import POSITION_DELETES, encoded
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
)
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles, _OverwriteFiles
from pyiceberg.typedef import Record

import lakeflow as lf
from lakeflow.scan import read_shard
from lakeflow_io.errors import InputError, NotFoundError, UnsupportedError
from lakeflow_io.iceberg.describe import data_file
from lakeflow_io.iceberg.stage import Stager

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def table(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Four appends of ten rows, in each kind of lake."""
    made = lake.create_table(f"{namespace}.t", numbers(1).schema, partition_by=["bucket(2, id)"])
    for start in range(0, 40, 10):
        made.append(numbers(10, start))
    return made


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


def compact(table: lf.Table) -> None:
    """Write all rows into new files, as a compaction does: a `replace` snapshot."""
    transaction = table.iceberg.transaction()
    replace = _OverwriteFiles(Operation.OVERWRITE, transaction, table.iceberg.io)
    for task in table.iceberg.scan().plan_files():
        replace.delete_data_file(task.file)
    for file in Stager.for_table(table.iceberg, table.name).write("compacted", table.scan().read().to_arrow()):
        replace.append_data_file(data_file(table.iceberg, file))
    (added, moved), requirements = replace._commit()
    # pyiceberg itself makes no snapshot of this kind.
    summary = added.snapshot.summary.model_copy(update={"operation": Operation.REPLACE})
    added = added.model_copy(update={"snapshot": added.snapshot.model_copy(update={"summary": summary})})
    table.iceberg.catalog.commit_table(table.iceberg, requirements, (added, moved))
    table.refresh()


@pytest.mark.parametrize(("since", "until"), [(0, 1), (0, 3), (1, 3), (2, 2), (None, 3), (None, 1), (3, 3)])
def test_between_two_snapshots_lie_the_appends_of_those_behind_the_first(
    table: lf.Table, since: int | None, until: int
) -> None:
    """`since` is known already, `until` is the last; None is the beginning."""
    snapshots = table.snapshots()
    first = None if since is None else snapshots[since].id

    found = table.changes(since=first, until=snapshots[until].id)

    begin = 0 if since is None else 10 * (since + 1)
    assert list(range(begin, 10 * (until + 1))) == ids(found)


def test_ends_have_all_names_that_snapshots_have(table: lf.Table) -> None:
    """Tags, branches and moments; a moment's snapshot is known already."""
    _, second, third, _ = table.snapshots()
    table.tag("second", second.id)
    table.branch("third", third.id)

    for since in ("second", second.id, second.committed, third.committed - timedelta(milliseconds=1)):
        for until in ("third", third.id, third.committed):
            assert list(range(20, 30)) == ids(table.changes(since=since, until=until))
    assert ids(table.changes(since=datetime.now(UTC) + timedelta(hours=1))) == []


def test_they_are_a_scan_like_any(table: lf.Table) -> None:
    """Columns, filters, limits, shards, frames; in another process, too."""
    second = table.snapshots()[1].id
    scan = table.changes(since=second, columns=["id", "half"], where="half >= 12.5").where("id < 35")

    assert scan.schema.names == ["id", "half"]
    assert list(range(25, 35)) == ids(scan)
    assert len(scan.limit(3).read()) == 3
    assert list(range(25, 35)) == sorted(scan.to_polars_lazy().collect()["id"].to_list())
    shards = pickle.loads(pickle.dumps(scan.shards(n=3)))
    assert list(range(25, 35)) == sorted(each for shard in shards for each in read_shard(shard)["id"].to_pylist())
    assert list(range(25, 35)) == ids(pickle.loads(pickle.dumps(scan)))


def test_files_are_pruned_by_partition_and_bounds(table: lf.Table) -> None:
    """As in a scan, files that can't hold a wanted row aren't opened."""
    everything, one = table.changes(), table.changes(where="id = 35")

    assert (len(everything.pieces), len(one.pieces), ids(one)) == (8, 1, [35])


def test_what_a_compaction_wrote_anew_is_no_change(table: lf.Table, numbers: Any) -> None:
    """A `replace` snapshot is skipped; rows before it come from the files that were there then."""
    first = table.snapshots()[0].id
    compact(table)
    table.append(numbers(10, 40))

    assert list(range(50)) == ids(table.scan())
    assert list(range(10, 50)) == ids(table.changes(since=first))
    assert list(range(40, 50)) == ids(table.changes(since=table.snapshots()[-2].id))


def test_an_overwrite_is_refused_or_expanded(table: lf.Table, numbers: Any) -> None:
    """The error names the snapshot; expanded, the rows of all files that it added come, copied ones too."""
    before = table.snapshot.id
    table.iceberg.delete("id = 35")
    overwrite = table.refresh().snapshot
    table.append(numbers(1, 40))

    with pytest.raises(UnsupportedError, match=str(overwrite.id)):
        table.changes(since=before)

    copied = {each for each in range(30, 40) if each != 35}
    found = set(ids(table.changes(since=before, overwrites="expand")))
    assert found - {40} <= copied
    assert 40 in found
    assert table.changes(since=overwrite.id).read().to_pylist()[0]["id"] == 40


class _DeletesWriter(ManifestWriterV2):
    """A manifest of delete files, which pyiceberg reads and doesn't write."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _AppendWithDeletes(_FastAppendFiles):
    """A commit that adds data files, and deletes rows of some file at once, as Flink's upserts do."""

    deletes: DataFile

    def _manifests(self) -> list[Any]:
        made = super()._manifests()
        table = self._transaction.table_metadata
        with _DeletesWriter(
            table.spec(), table.schema(), self.new_manifest_output(), self._snapshot_id, self._compression
        ) as writer:
            writer.add(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED, snapshot_id=self._snapshot_id, sequence_number=None,
                    file_sequence_number=None, data_file=self.deletes,
                )
            )  # fmt: skip
        return [*made, writer.to_manifest_file()]


@pytest.mark.parametrize(
    ("own", "spelling", "kind"),
    [(own, spelling, "PARQUET") for own in (True, False) for spelling in ("as it is", "with a slash twice")]
    + [(own, "as it is", kind) for own in (True, False) for kind in ("ORC", "AVRO")],
)
def test_rows_that_were_deleted_as_they_came_are_refused(
    embedded: lf.Lake,
    namespace: str,
    numbers: Any,
    own: bool,  # noqa: FBT001
    spelling: str,
    kind: str,
) -> None:
    """A commit that deletes rows of its own files can't be told; one that deletes others' rows is expanded."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)
    before = table.append(numbers(3))
    [old] = [piece.path for piece in table.scan().pieces]
    [staged] = Stager.for_table(table.iceberg, table.name).write("new", numbers(3, 10))
    path = f"{table.location}/data/deletes.{kind.lower()}"
    named = staged["path"] if own else old
    named = named if spelling == "as it is" else named.replace("/data/", "//data/")
    deletes = pa.table({"file_path": [named], "pos": [0]})
    if kind == "PARQUET":
        pq.write_table(deletes, path.removeprefix("file://"))
    else:
        Path(path.removeprefix("file://")).write_bytes(encoded(kind, deletes, POSITION_DELETES))
    producer = _AppendWithDeletes(Operation.OVERWRITE, table.iceberg.transaction(), table.iceberg.io)
    producer.append_data_file(data_file(table.iceberg, staged))
    producer.deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path=path, file_format=FileFormat[kind], partition=Record(),
        record_count=1, file_size_in_bytes=Path(path.removeprefix("file://")).stat().st_size, column_sizes={},
        value_counts={}, null_value_counts={}, nan_value_counts={}, lower_bounds={}, upper_bounds={},
        key_metadata=None, split_offsets=None, equality_ids=None, sort_order_id=None, spec_id=0,
    )  # fmt: skip
    updates, requirements = producer._commit()
    table.iceberg.catalog.commit_table(table.iceberg, requirements, updates)

    changes = table.refresh().changes(since=before.id, overwrites="expand")

    assert set(table.files()["content"].to_pylist()) == {"data", "position deletes"}
    if own:
        with pytest.raises(UnsupportedError, match=str(table.snapshot.id)):
            changes.read()
    else:
        assert ids(changes) == [10, 11, 12]


def test_what_does_not_lead_from_one_to_the_other(table: lf.Table, numbers: Any) -> None:
    """Ends in the wrong order, and another branch's snapshot."""
    first, second, *_ = table.snapshots()
    aside = table.branch("aside", first.id).append(numbers(1, 99))

    for since, until in ((second.id, first.id), (aside.id, None), (second.id, "aside")):
        with pytest.raises(NotFoundError, match="did not lead to"):
            table.changes(since=since, until=until)
    assert ids(table.changes(since=first.id, until="aside")) == [99]


def test_changes_that_have_expired_are_not_half_told(table: lf.Table) -> None:
    """Where the first snapshots are gone, what they added isn't known: no rows instead of some."""
    first, second, third, _ = table.snapshots()
    kept = [each for each in table.iceberg.metadata.snapshots if each.snapshot_id not in (first.id, second.id)]
    table._table.metadata = table.iceberg.metadata.model_copy(update={"snapshots": kept})

    for since in (None, first.committed, second.committed - timedelta(milliseconds=1)):
        with pytest.raises(NotFoundError, match="expired"):
            table.changes(since=since)
    with pytest.raises(NotFoundError, match=str(second.id)):
        table.changes(since=second.id)
    assert list(range(30, 40)) == ids(table.changes(since=third.id))


@pytest.mark.parametrize("version", ["1", "2"])
def test_changes_that_pyiceberg_has_expired_are_not_half_told(
    version: str, embedded: lf.Lake, namespace: str, numbers: Any
) -> None:
    """Its expiry leaves snapshots without a parent; the files that they have of earlier ones tell."""
    properties = {"format-version": version}
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema, properties=properties)
    first, second, third = (table.append(numbers(2, start)) for start in (0, 2, 4))
    assert ids(table.changes()) == [0, 1, 2, 3, 4, 5]
    table.iceberg.maintenance.expire_snapshots().by_id(first.id).commit()
    table.refresh()

    for since in (None, first.committed - timedelta(seconds=1)):
        with pytest.raises(NotFoundError, match=f"before {second.id} have expired"):
            table.changes(since=since)
    assert ids(table.changes(since=second.id)) == [4, 5]
    assert table.snapshot == third


def test_a_beginning_on_top_of_nothing_is_told(embedded: lf.Lake, namespace: str, numbers: Any) -> None:
    """A later snapshot whose expired ones have left no files is where the table begins."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)
    first = table.append(numbers(0))
    table.append(numbers(2))
    table.iceberg.maintenance.expire_snapshots().by_id(first.id).commit()

    assert ids(table.refresh().changes()) == [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [{"overwrites": "maybe"}, {"since": 1.5}, {"since": datetime(2024, 1, 1)}, {"until": True}],  # noqa: DTZ001
)
def test_arguments_that_can_not_be(table: lf.Table, wrong: dict[str, Any]) -> None:
    """Each is the caller's mistake."""
    with pytest.raises(InputError):
        table.changes(**wrong)


def test_a_table_without_snapshots_has_no_changes(embedded: lf.Lake, namespace: str, numbers: Any) -> None:
    """No rows and no error."""
    table = embedded.create_table(f"{namespace}.empty", numbers(1).schema)

    assert len(table.changes().read()) == 0


@settings(max_examples=12)  # each makes a lake
@given(
    batches=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    evolve=st.integers(0, 4),
    ends=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    least=st.integers(0, 20),
)
def test_changes_are_what_a_scan_gained(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], evolve: int, ends: tuple[int, int], least: int
) -> None:
    """For any history of appends, with the schema and partitioning changed on the way: until = since + changes."""
    home = tmp_path_factory.mktemp("lake")
    lake = lf.connect(type="sql", uri=f"sqlite:///{home}/c.db", warehouse=f"file://{home}")
    table = lake.create_table("n.t", pa.schema([("id", pa.int64())]), partition_by=["bucket(2, id)"])
    start = 0
    for number, size in enumerate(batches):
        if number == evolve:
            table.update_partitions(add=["truncate(3, id)"], drop=["bucket(2, id)"])
            with table.update_schema() as change:
                change.add("more", pa.string())
        table.append({"id": list(range(start, start + size))})
        start += size
    since, until = sorted(min(end, len(batches) - 1) for end in ends)
    snapshots = table.snapshots()

    gained = table.changes(since=snapshots[since].id, until=snapshots[until].id, where=f"id >= {least}")

    before, after = (set(ids(table.scan(snapshot=snapshots[end].id))) for end in (since, until))
    assert sorted(each for each in after - before if each >= least) == ids(gained)
