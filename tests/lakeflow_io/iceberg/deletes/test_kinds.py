"""Each kind of delete removes the rows that the specification says, and no others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFileContent, FileFormat

from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


def numbered(start: int, rows: int) -> pa.Table:
    """Ids from `start`, names that repeat."""
    ids = list(range(start, start + rows))
    return pa.table({"id": ids, "name": [f"n{each % 4}" for each in ids]})


def ids(found: list[tuple[Any, ...]]) -> list[int]:
    """Of rows, in order."""
    return sorted(row[0] for row in found)


def test_positions_count_from_the_files_first_row(deleted_table: Callable[..., Any]) -> None:
    """A position is a row of the file, whatever row group it lies in and whatever the filter leaves out."""
    table = deleted_table(SCHEMA, row_group=5)
    file = table.data(numbered(0, 23))
    table.commit(file)
    table.commit(table.positions([(file.file_path, each) for each in (0, 4, 5, 17, 22)]))

    whole, filtered = ids(table.rows()), ids(table.rows(where="id >= 15"))

    assert whole == [each for each in range(23) if each not in (0, 4, 5, 17, 22)]
    assert filtered == [15, 16, 18, 19, 20, 21]


def test_what_a_scan_reports(deleted_table: Callable[..., Any]) -> None:
    """Rows removed, files read, deletes of nothing; row groups are pruned in spite of deletes."""
    table = deleted_table(SCHEMA, row_group=5)
    file = table.data(numbered(0, 20))
    table.commit(file)
    gone = f"{table.table.location}/data/compacted.parquet"
    table.commit(table.positions([(file.file_path, each) for each in (1, 15, 16, 17, 18, 19)] + [(gone, 3), (gone, 4)]))
    whole, filtered = table.table.scan(), table.table.scan(where="id < 5")
    whole.read()
    filtered.read()

    report, pruned = whole.report(), filtered.report()

    assert (report.deletes_applied, report.delete_files, report.dangling_deletes) == (6, 1, 2)
    assert (report.rows, report.row_groups, report.row_groups_pruned) == (14, 4, 1)
    assert (pruned.deletes_applied, pruned.rows, pruned.row_groups_pruned) == (1, 4, 3)


def test_positions_delete_rows_of_the_same_commit_and_none_of_later_ones(deleted_table: Callable[..., Any]) -> None:
    """A position delete applies to files with its own sequence number, and not to a file that came back later."""
    table = deleted_table(SCHEMA)
    file = table.data(numbered(0, 5))
    delete = table.positions([(file.file_path, 2)])
    table.commit(file, delete)
    again = table.data(numbered(10, 5))
    late = table.positions([(again.file_path, 1)])
    table.commit(late)
    table.commit(again)

    assert ids(table.rows()) == [0, 1, 3, 4, 10, 11, 12, 13, 14]


def test_equality_deletes_leave_their_own_commit_alone(deleted_table: Callable[..., Any]) -> None:
    """An equality delete applies to older files only: an upsert's new row survives its own delete."""
    table = deleted_table(SCHEMA)
    table.commit(table.data(numbered(0, 5)))
    table.commit(table.data(pa.table({"id": [2], "name": ["new"]})), table.keys({"id": [2]}))

    assert table.rows() == [(0, "n0"), (1, "n1"), (2, "new"), (3, "n3"), (4, "n0")]


def test_an_equality_delete_of_columns_that_are_not_read(deleted_table: Callable[..., Any]) -> None:
    """Columns that only deletes need are read besides, and don't leave the reader."""
    table = deleted_table(SCHEMA)
    table.commit(table.data(numbered(0, 8)))
    table.commit(table.keys({"name": ["n1"]}))
    table.commit(table.keys({"id": [6], "name": ["n2"]}))

    found = table.table.scan(columns=["id"]).read().to_arrow()

    assert found.column_names == ["id"]
    assert sorted(found["id"].to_pylist()) == [0, 2, 3, 4, 7]
    assert [row[0] for row in table.rows(columns=["name"], where="id > 3")] == ["n0", "n3"]


@pytest.mark.parametrize("runs", [False, True])
def test_a_vector_by_offset_and_length(deleted_table: Callable[..., Any], runs: bool) -> None:  # noqa: FBT001
    """Vectors of several data files lie in one Puffin file; one request brings them."""
    table = deleted_table(SCHEMA, version=3)
    one, two, three = (table.data(numbered(10 * each, 10)) for each in range(3))
    table.commit(one, two, three)
    table.commit(*table.vectors({one.file_path: [0, 1, 2, 9], three.file_path: [5]}, runs=runs))
    scan = table.table.scan()

    found = sorted(scan.read().to_arrow()["id"].to_pylist())

    assert found == [3, 4, 5, 6, 7, 8, *range(10, 25), *range(26, 30)]
    assert scan.report().delete_files == 2
    assert scan.report().requests == 3 + 1


def test_a_vector_replaces_position_deletes(deleted_table: Callable[..., Any]) -> None:
    """Where a vector applies, position delete files of its data file don't; of other data files they do."""
    table = deleted_table(SCHEMA, version=3)
    one, two = table.data(numbered(0, 4)), table.data(numbered(4, 4))
    table.commit(one, two)
    table.commit(table.positions([(one.file_path, 0), (two.file_path, 0)]))
    table.commit(*table.vectors({one.file_path: [3]}))

    assert ids(table.rows()) == [0, 1, 2, 5, 6, 7]


def test_partitions_bound_deletes(deleted_table: Callable[..., Any]) -> None:
    """Equality deletes of a partition stay in it; those of an unpartitioned spec reach everywhere."""
    table = deleted_table(SCHEMA, partition_by=["name"])
    for name in ("a", "b"):
        table.commit(table.data(pa.table({"id": [1, 2, 3], "name": [name] * 3}), [name]))
    table.commit(table.keys({"id": [1]}, partition=["a"]))
    with table.iceberg.update_spec() as update:
        update.remove_field("name")
    table.table.refresh()
    table.commit(table.keys({"id": [3]}))

    assert table.rows() == [(1, "b"), (2, "a"), (2, "b")]


def test_spellings_of_a_path_are_one_file(deleted_table: Callable[..., Any]) -> None:
    """Repeated slashes and a file's other schemes name the same data file."""
    table = deleted_table(SCHEMA)
    file = table.data(numbered(0, 6))
    table.commit(file)
    plain = file.file_path.removeprefix("file://")
    folder, _, name = plain.rpartition("/")
    table.commit(table.positions([(f"{folder}//{name}", 1)]), table.positions([(f"file:{plain}", 2), (plain, 3)]))

    assert ids(table.rows()) == [0, 4, 5]


def test_each_catalog_and_store(lake: Any, namespace: str, table_of: Callable[..., Any]) -> None:
    """All kinds, on local files and from S3, where another engine spelled the scheme in its own way."""
    table = table_of(lake.create_table(f"{namespace}.deleted", SCHEMA))
    files = [table.data(numbered(10 * each, 10)) for each in range(3)]
    table.commit(*files)
    first, second, third = (file.file_path for file in files)
    table.commit(table.positions([(first.replace("s3://", "s3a://"), 1), (second, 1)]))
    table.commit(table.keys({"id": [2, 12, 22]}))
    table.version = 3  # from here on its manifests have vectors; only the table's metadata stays as it is
    table._as_version_3 = lambda: None
    # The server of tables takes files by few names only.
    table.commit(*table.vectors({third: [3], second: [0, 1]}, name="vectors.parquet"))

    found = [ids(table.rows()) for _ in range(2)]

    gone = {1, 11, 2, 12, 22, 23, 10}
    assert found == [[each for each in range(30) if each not in gone]] * 2


def test_shards_carry_their_deletes(deleted_table: Callable[..., Any]) -> None:
    """A file that is cut between row groups loses the right rows in each shard, also in another process's memory."""
    import pickle

    from lakeflow.scan import read_shard

    table = deleted_table(SCHEMA, row_group=5)
    files = [table.data(numbered(40 * each, 40)) for each in range(2)]
    table.commit(*files)
    table.commit(table.positions([(file.file_path, each) for file in files for each in (0, 7, 39)]))
    table.commit(table.keys({"id": [11, 50]}))
    shards = pickle.loads(pickle.dumps(table.table.scan(where="id != 12").shards(n=7)))

    found = [each for shard in shards for each in read_shard(shard)["id"].to_pylist()]

    assert len(shards) > 2
    assert sorted(found) == [each for each in range(80) if each not in (0, 7, 39, 40, 47, 79, 11, 50, 12)]


def test_other_formats_are_refused(deleted_table: Callable[..., Any]) -> None:
    """Deletes in a format that holds no such deletes are refused by name where they apply, and ignored elsewhere."""
    table, kind = deleted_table(SCHEMA), FileFormat.PUFFIN
    content = DataFileContent.EQUALITY_DELETES
    other = table.file(content, "file:///elsewhere/deletes.other", 9, 1, file_format=kind, equality_ids=[1])
    table.commit(other)
    table.commit(table.data(numbered(0, 3)))
    assert ids(table.rows()) == [0, 1, 2]
    table.commit(other)

    with pytest.raises(UnsupportedError, match=rf"elsewhere/deletes\.other.*{kind.name}"):
        table.rows()


def test_two_vectors_of_one_file_are_refused(deleted_table: Callable[..., Any]) -> None:
    """A data file has one vector: which of two is right nobody can tell."""
    table = deleted_table(SCHEMA, version=3)
    file = table.data(numbered(0, 3))
    table.commit(file)
    table.commit(*table.vectors({file.file_path: [0]}))
    table.commit(*table.vectors({file.file_path: [1]}))

    with pytest.raises(CorruptFileError, match=r"second one of .*rows\.parquet"):
        table.rows()


def test_partitions_of_near_doubles_are_two(deleted_table: Callable[..., Any]) -> None:
    """To their last digit: what is deleted in one stays in the other."""
    near = math.nextafter(0.1, 1)
    table = deleted_table(pa.schema([("d", pa.float64()), ("id", pa.int64())]), partition_by=["d"])
    for value in (0.1, near):
        table.commit(table.data(pa.table({"d": [value], "id": [1]}), [value]))
    table.commit(table.keys({"id": [1]}, partition=[0.1]))

    assert table.rows() == [(near, 1)]
