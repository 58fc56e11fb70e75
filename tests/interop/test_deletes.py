"""Spark deleted rows without rewriting files: position deletes and deletion vectors."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

MERGE_ON_READ = {f"write.{verb}.mode": "merge-on-read" for verb in ("delete", "update", "merge")}
PER_PARTITION = {"write.delete.granularity": "partition"}
TWENTY = "insert into {t} select /*+ coalesce(1) */ int(id), concat('s', id), int(id % 2) from range(20)"


@pytest.fixture
def twenty(make):
    """A table of one file of twenty rows, or more by a partition."""

    def made(partitioned: str = "", version: int = 2, **properties: str):
        table = make("id int, s string, half int", partitioned, version, {**MERGE_ON_READ, **properties})
        table.sql(TWENTY)
        return table

    return made


def has_deletes(table, content: int = 1) -> bool:
    """Whether Spark wrote delete files, of position deletes where nothing else is said."""
    return any(row[0] == content for row in table.sql("select content from {t}.delete_files"))


def test_position_deletes(twenty, check):
    """Rows of one file, deleted by several snapshots, and each snapshot before."""
    table = twenty()
    table.sql("delete from {t} where id in (0, 7, 19)", "delete from {t} where id = 8")

    assert has_deletes(table)
    check(table, "id < 10", "id = 7", "s = 's1'", snapshots=table.snapshots)


def test_position_deletes_in_partitions(twenty, check):
    """Deletes in some partitions, one delete file for several data files of each."""
    table = twenty("half", **PER_PARTITION)
    table.sql(TWENTY.replace("int(id)", "int(id + 20)"), "delete from {t} where id in (1, 21, 23)")

    assert has_deletes(table)
    check(table, "half = 1", "half = 0", "id > 20")


def test_position_deletes_of_many_row_groups(make, check):
    """Positions count through all row groups of a file; a filter that leaves some out moves none."""
    table = make("id bigint, s string", properties={**MERGE_ON_READ, "write.parquet.row-group-size-bytes": "2048",
                                                    "write.parquet.page-row-limit": "50"})  # fmt: skip
    table.sql("insert into {t} select /*+ coalesce(1) */ id, concat('some text ', id) from range(3000)")
    table.sql("delete from {t} where id % 7 = 0")

    path = table.sql("select file_path from {t}.data_files")[0][0]
    assert pq.read_metadata(path).num_row_groups > 1
    check(table, "id >= 2500", "id > 500 and id < 600")


def test_rows_deleted_to_the_last(twenty, check):
    """A file of which every row is deleted by position has no rows."""
    table = twenty()
    table.sql("delete from {t} where id < 10 or s = 'nothing'", "delete from {t} where s like 's1_'")

    assert has_deletes(table)
    check(table)


def test_updates_merged_on_read(twenty, check):
    """An update deletes by position and appends in one snapshot."""
    table = twenty("bucket(2, id)")
    table.sql("update {t} set s = 'new' where id % 5 = 0", "update {t} set s = 'newer' where id = 10")

    assert has_deletes(table)
    check(table, "s = 'new'", "s = 'newer'", "id = 10")


def test_merges_merged_on_read(twenty, check):
    """A merge's three clauses in one snapshot."""
    table = twenty()
    table.sql(
        "merge into {t} t using (select * from values (1, 'one'), (2, 'gone'), (99, 'added') as v(id, s)) v on t.id = v.id"
        " when matched and v.s = 'gone' then delete when matched then update set s = v.s"
        " when not matched then insert (id, s, half) values (v.id, v.s, null)"
    )

    assert has_deletes(table)
    check(table, "s = 'one'", "id = 2", "half is null")


def test_position_deletes_after_evolution(twenty, check):
    """Deletes of files whose columns were renamed, promoted and added to since, and of a changed spec."""
    table = twenty("half")
    table.sql(
        "delete from {t} where id = 1",
        "alter table {t} rename column s to text",
        "alter table {t} alter column id type bigint",
        "alter table {t} add column n int",
        "alter table {t} replace partition field half with bucket(2, id)",
        "delete from {t} where id = 3",
        "insert into {t} values (100, 'x', 1, 1)",
        "delete from {t} where text = 'x' or text = 's5'",
    )

    assert has_deletes(table)
    check(table, "n is null and id < 9", "text = 's7'", "half = 1")


def test_deleted_columns_alone_are_not_asked_for(twenty, check_reads):
    """Rows are counted right where no column that the delete named is read."""
    table = twenty()
    table.sql("delete from {t} where s = 's3'")

    check_reads({table.metadata: [table.read("half = 1"), table.read("half = 0")]}, "Spark")


def test_dangling_deletes(twenty, check):
    """Position deletes stay behind when a compaction has rewritten the files they are for."""
    table = twenty(**PER_PARTITION)
    table.sql(TWENTY.replace("int(id)", "int(id + 20)"), "delete from {t} where id in (1, 21)")
    table.sql("call ice.system.rewrite_data_files(table => '{n}', options => map('rewrite-all', 'true'))")

    assert has_deletes(table)
    check(table, "id > 20", snapshots=table.snapshots)


def test_rewritten_position_deletes(twenty, check):
    """Delete files that were compacted themselves."""
    table = twenty()
    for number in range(3):
        table.sql(f"delete from {{t}} where id = {number}")
    table.sql("call ice.system.rewrite_position_delete_files(table => '{n}', options => map('rewrite-all', 'true'))")

    assert has_deletes(table)
    check(table, "id < 5")


def test_deletes_on_a_branch(twenty, check):
    """Deletes that another branch has take nothing from main."""
    table = twenty()
    table.sql("alter table {t} create branch side", "delete from {t}.branch_side where id = 3")

    check(table, "id < 5", snapshots=table.snapshots)


def test_position_deletes_in_orc(twenty, check):
    """A delete file that is ORC, for a data file that is Parquet."""
    table = twenty(**{"write.delete.format.default": "orc"})
    table.sql("delete from {t} where id in (0, 7)")

    assert table.sql("select file_format from {t}.delete_files")[0][0] == "ORC"
    check(table, "id < 10")


def test_position_deletes_in_avro(twenty, check):
    """A delete file that is Avro, for a data file that is Parquet."""
    table = twenty(**{"write.delete.format.default": "avro"})
    table.sql("delete from {t} where id in (0, 7)")

    assert table.sql("select file_format from {t}.delete_files")[0][0] == "AVRO"
    check(table, "id < 10")


def test_deletion_vectors(twenty, check):
    """Version 3 keeps a bitmap a file in Puffin files; a newer one replaces it."""
    table = twenty(version=3)
    table.sql("delete from {t} where id in (0, 7, 19)", "delete from {t} where id = 8")

    assert table.sql("select file_format from {t}.delete_files")[0][0] == "PUFFIN"
    check(table, "id < 10", "id = 7", snapshots=table.snapshots)


def test_deletion_vectors_that_share_a_file(twenty, check):
    """One Puffin file with the vectors of several data files, each by its offset and length."""
    table = twenty("half", version=3)
    table.sql(TWENTY.replace("int(id)", "int(id + 20)"), "delete from {t} where id in (1, 2, 21, 22, 24)")

    assert len(table.sql("select distinct content_offset, referenced_data_file from {t}.delete_files")) > 1
    check(table, "half = 1", "id > 20")


def test_updates_with_deletion_vectors(twenty, check):
    """Updates and merges in version 3."""
    table = twenty(version=3)
    table.sql("update {t} set s = 'new' where id % 5 = 0", "update {t} set s = 'newer' where id = 10")

    assert has_deletes(table)
    check(table, "s = 'new'", "s = 'newer'")


def test_deletion_vectors_beside_older_position_deletes(twenty, check):
    """A table that was upgraded with its position deletes: they hold for files without a vector."""
    table = twenty("half", **PER_PARTITION)
    table.sql(TWENTY.replace("int(id)", "int(id + 20)"), "delete from {t} where id in (1, 2, 21)")
    table.sql("alter table {t} set tblproperties ('format-version'='3')", "delete from {t} where id in (3, 22)")

    assert {row[0] for row in table.sql("select file_format from {t}.delete_files")} == {"PARQUET", "PUFFIN"}
    check(table, "half = 1", "id > 20")
