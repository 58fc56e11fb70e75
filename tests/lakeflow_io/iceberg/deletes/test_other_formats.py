"""Deletes in ORC and Avro, and of rows in ORC and Avro: the same rules as in Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from encoded import orc_bytes
from pyiceberg.manifest import DataFileContent
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

from lakeflow.scan import read_shard
from lakeflow_io.errors import CorruptFileError
from lakeflow_io.orc.tail import read_tail

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["PARQUET", "ORC", "AVRO"]
OTHERS = ["ORC", "AVRO"]
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


def numbered(start: int, rows: int) -> pa.Table:
    """Ids from `start`, names that repeat."""
    ids = list(range(start, start + rows))
    return pa.table({"id": ids, "name": [f"n{each % 4}" if each % 5 else None for each in ids]})


def ids(found: list[tuple[Any, ...]]) -> list[int]:
    """Of rows, in order."""
    return sorted(row[0] for row in found)


@pytest.mark.parametrize("of", KINDS)
@pytest.mark.parametrize("kind", OTHERS)
def test_positions(deleted_table: Callable[..., Any], kind: str, of: str) -> None:
    """A position is a row of the file, whatever stripe or block it lies in and whatever the filter leaves out."""
    table = deleted_table(SCHEMA, row_group=5)
    file, other = table.data_as(of, numbered(0, 23)), table.data_as(kind, numbered(100, 7))
    table.commit(file, other)
    gone = f"{table.table.location}/data/compacted.parquet"
    deleted = [(file.file_path, each) for each in (0, 4, 5, 17, 22)] + [(other.file_path, 6), (gone, 1)]
    table.commit(table.positions_as(kind, deleted))
    left = [each for each in range(23) if each not in (0, 4, 5, 17, 22)] + list(range(100, 106))
    scan = table.table.scan()

    whole, filtered = ids(table.rows()), ids(table.rows(where="id >= 15"))
    scan.read()

    assert whole == left
    assert filtered == [each for each in left if each >= 15]
    report = scan.report()
    assert (report.deletes_applied, report.delete_files, report.dangling_deletes) == (6, 1, 1)


@pytest.mark.parametrize("of", OTHERS)
def test_vectors(deleted_table: Callable[..., Any], of: str) -> None:
    """A bitmap of positions takes them from a file of any format."""
    table = deleted_table(SCHEMA, version=3)
    file = table.data_as(of, numbered(0, 23))
    table.commit(file)
    table.commit(*table.vectors({file.file_path: [0, 6, 22]}))

    assert ids(table.rows()) == [each for each in range(23) if each not in (0, 6, 22)]


@pytest.mark.parametrize("of", KINDS)
@pytest.mark.parametrize("kind", OTHERS)
def test_keys(deleted_table: Callable[..., Any], kind: str, of: str) -> None:
    """Rows with a deleted key are gone from older files, null equal to null; newer ones keep theirs."""
    table = deleted_table(SCHEMA, row_group=5)
    table.commit(table.data_as(of, numbered(0, 20)))
    table.commit(table.keys_as(kind, {"id": [3, 11, 99]}))
    table.commit(table.keys_as(kind, {"name": [None]}))
    table.commit(table.data_as(of, numbered(3, 3)))

    found = ids(table.rows())

    assert found == sorted([each for each in range(20) if each not in (3, 11) and each % 5] + [3, 4, 5])


@pytest.mark.parametrize("kind", OTHERS)
def test_keys_of_columns_that_have_changed(deleted_table: Callable[..., Any], kind: str) -> None:
    """A column that was promoted and renamed since is compared all the same, as is one that isn't read."""
    table = deleted_table(pa.schema([("id", pa.int32()), ("name", pa.string())]))
    rows = numbered(0, 10).cast(pa.schema([("id", pa.int32()), ("name", pa.string())]))
    table.commit(table.data_as(kind, rows))
    deletes = table.keys_as(kind, {"id": [2, 3]})
    with table.iceberg.update_schema() as update:
        update.update_column("id", field_type=LongType())
        update.rename_column("id", "number")
    table.table.refresh()
    table.commit(deletes)

    assert ids(table.rows(columns=["number"])) == [0, 1, 4, 5, 6, 7, 8, 9]
    assert len(table.rows(columns=["name"])) == 8


@pytest.mark.parametrize("of", OTHERS)
def test_what_is_wholly_deleted_is_not_decoded(deleted_table: Callable[..., Any], of: str) -> None:
    """A stripe, or some blocks, of which every row is deleted counts as pruned."""
    table = deleted_table(SCHEMA, row_group=1000)
    file = table.data_as(of, numbered(0, 1000))
    table.commit(file)
    table.commit(*[table.positions_as(of, [(file.file_path, each) for each in range(1000)])])
    scan = table.table.scan()

    assert len(scan.read()) == 0
    report = scan.report()
    assert (report.row_groups_pruned, report.deletes_applied) == (report.row_groups, 1000)


@pytest.mark.parametrize("told", [True, False])
def test_shards_of_orc_lose_the_right_rows(deleted_table: Callable[..., Any], *, told: bool) -> None:
    """A file that is cut between stripes counts positions from its first row in each shard, whoever told the cuts."""
    table = deleted_table(SCHEMA, row_group=50)
    rows = numbered(0, 1000)
    data = orc_bytes(rows, table.iceberg.schema(), group=50)
    splits = [each.where.start for each in read_tail("", len(data), memoryview(data))]
    assert len(splits) == 20
    file = table.data_as("ORC", rows, split_offsets=splits if told else None)
    table.commit(file)
    gone = list(range(0, 1000, 7))
    table.commit(table.positions_as("ORC", [(file.file_path, each) for each in gone]))

    shards = table.table.scan().shards(n=6)
    found = [each for shard in shards for each in read_shard(shard)["id"].to_pylist()]

    assert len(shards) > 2
    assert sorted(found) == [each for each in range(1000) if each % 7]


@pytest.mark.parametrize("told", [True, False])
def test_exact_shards_of_orc(deleted_table: Callable[..., Any], *, told: bool) -> None:
    """A file's own end tells where its stripes begin and how many rows they have; parts of a shard know it, too."""
    table = deleted_table(SCHEMA, row_group=50)
    rows = numbered(0, 1000)
    data = orc_bytes(rows, table.iceberg.schema(), group=50)
    splits = [each.where.start for each in read_tail("", len(data), memoryview(data))]
    table.commit(table.data_as("ORC", rows, split_offsets=splits if told else None))
    scan = table.table.scan()
    [whole] = scan.shards(n=1)

    for shards in (scan.shards(n=6), whole.split()):
        exact = [shard.exact() for shard in shards]

        assert len(shards) > 2
        for shard, found in zip(shards, exact, strict=True):
            told_rows = [range(piece.first_row, piece.first_row + piece.rows) for piece in found.pieces]
            assert read_shard(shard)["id"].to_pylist() == [each for part in told_rows for each in part]


def test_avro_is_in_one_shard(deleted_table: Callable[..., Any]) -> None:
    """Whatever its size: it is fetched whole."""
    table = deleted_table(SCHEMA, row_group=50)
    table.commit(table.data_as("AVRO", numbered(0, 1000)))

    [shard] = table.table.scan().shards(n=6)

    assert shard.split() == ()
    assert shard.exact() == shard


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_without_positions_is_named(deleted_table: Callable[..., Any], kind: str) -> None:
    """A delete file that lacks a column is damage, and no fewer deletes."""
    table = deleted_table(SCHEMA)
    table.commit(table.data(numbered(0, 3)))
    schema = Schema(NestedField(2147483545, "pos", LongType(), required=True))
    rows = pa.table({"pos": [0]})
    table.commit(table.encoded(kind, DataFileContent.POSITION_DELETES, rows, schema))

    with pytest.raises(CorruptFileError, match=rf"file\.{kind.lower()}: the delete file has no column file_path"):
        table.rows()


@pytest.mark.parametrize("kind", OTHERS)
def test_a_cut_file_is_named(deleted_table: Callable[..., Any], kind: str) -> None:
    """Its own end tells, where the manifest doesn't."""
    table = deleted_table(SCHEMA)
    file = table.data(numbered(0, 3))
    table.commit(file)
    whole = table.positions_as(kind, [(file.file_path, 0)])
    with table.iceberg.io.new_input(whole.file_path).open() as source:
        data = source.read()
    path = table.put(f"cut.{kind.lower()}", data[:-10])
    table.commit(table.file(DataFileContent.POSITION_DELETES, path, len(data) - 10, 1, file_format=whole.file_format))

    with pytest.raises(CorruptFileError, match=rf"cut\.{kind.lower()}"):
        table.rows()
