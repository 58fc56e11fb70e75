"""Format versions, and how metadata is kept."""

from __future__ import annotations

from pathlib import Path

from readers import Read, Rows


def test_version_1(make, check):
    """A table of version 1, with a partition."""
    table = make("id int, s string", "s", version=1)
    table.sql("insert into {t} values (1, 'a'), (2, null)", "insert into {t} values (3, 'a')")

    check(table, "s = 'a'", "s is null", snapshots=table.snapshots)


def test_version_1_upgraded(make, check):
    """Manifests of version 1 under metadata of version 2: their files have the sequence number 0."""
    table = make("id int, s string", version=1, properties={"write.delete.mode": "merge-on-read"})
    table.sql(
        "insert into {t} values (1, 'a'), (2, null)",
        "alter table {t} set tblproperties ('format-version'='2')",
        "insert into {t} values (3, 'a')",
    )

    check(table, "s = 'a'", snapshots=table.snapshots)


def test_version_3(make, check):
    """A table of version 3 without deletes; its manifests carry first row ids."""
    table = make("id int, s string", "bucket(2, id)", version=3)
    table.sql("insert into {t} values (1, 'a'), (2, null)", "insert into {t} values (3, 'a')")

    check(table, "s = 'a'", "id = 3", snapshots=table.snapshots)


def test_version_2_upgraded_to_3(make, check):
    """Files from version 2 in a table of version 3."""
    table = make("id int, s string", version=2)
    table.sql(
        "insert into {t} values (1, 'a'), (2, null)",
        "alter table {t} set tblproperties ('format-version'='3')",
        "insert into {t} values (3, 'a')",
    )

    check(table, "s = 'a'", snapshots=table.snapshots)


def test_row_lineage_survives_a_rewrite(make, check):
    """Files that carry `_row_id` beside the table's columns, as version 3 rewrites them, show the columns alone."""
    table = make("id int, s string", version=3, properties={"write.update.mode": "copy-on-write"})
    table.sql("insert into {t} values (1, 'a'), (2, 'b'), (3, 'c')", "update {t} set s = 'z' where id = 2")

    check(table, "s = 'z'", "id < 3")


def test_defaults_of_version_3(make, check_reads, spark):
    """A column's initial default is what files have that are older than it. Spark's own filters miss those rows."""
    table = make("id int", version=3)
    table.sql("insert into {t} values (1), (2)")
    types, literal = (
        spark._jvm.org.apache.iceberg.types.Types,
        spark._jvm.org.apache.iceberg.expressions.Expressions.lit,
    )
    update = table.java.updateSchema()
    update.addColumn("n", types.IntegerType.get(), literal(7)).addColumn("s", types.StringType.get(), literal("x"))
    update.commit()
    table.sql("insert into {t} values (3, 8, 'y'), (4, null, null)")
    old, new, unset = [[1, 7, "x"], [2, 7, "x"]], [[3, 8, "y"]], [[4, None, None]]

    def read(rows, where=None):
        return Read(Rows.of(["id", "n", "s"], rows), where)

    assert not table.read().truth.difference(read(old + new + unset).truth)
    filtered = [
        read(old, "n = 7"),
        read(old, "s = 'x'"),
        read(unset, "n is null"),
        read(new, "n > 7"),
        read(new, "s != 'x'"),
    ]
    check_reads({table.metadata: [table.read(), *filtered]}, "Spark")


def test_gzipped_metadata(make, check):
    """Metadata files with gzip inside."""
    table = make("id int, s string", properties={"write.metadata.compression-codec": "gzip"})
    table.sql("insert into {t} values (1, 'a'), (2, null)")

    assert table.metadata.endswith(".gz.metadata.json")
    check(table, "s = 'a'")


def test_locations_with_a_single_slash(make, check, tmp_path):
    """Paths written as `file:/folder`, as Hadoop does, are the same as `file:///folder`."""
    table = make("id int, s string", properties={"write.data.path": f"file:{tmp_path}/data"})
    table.sql("insert into {t} values (1, 'a'), (2, null)")

    assert any(tmp_path.glob("data/*.parquet"))
    check(table, "s = 'a'")


def test_manifests_that_were_merged_and_rewritten(make, check):
    """Entries that are carried over keep what they were."""
    table = make("id int, s string", "s", properties={"commit.manifest.min-count-to-merge": "2"})
    for number in range(4):
        table.sql(f"insert into {{t}} values ({number}, 'a'), ({number + 10}, 'b')")
    table.sql("delete from {t} where s = 'b' and id < 12")
    table.sql("call ice.system.rewrite_manifests(table => '{n}')")

    check(table, "s = 'b'", "id < 2", snapshots=table.snapshots)


def test_data_in_hashed_folders(make, check):
    """The layout for object stores puts hashes into paths."""
    table = make("id int, s string", "s", properties={"write.object-storage.enabled": "true"})
    table.sql("insert into {t} values (1, 'a'), (2, null)")

    assert table.sql("select file_path from {t}.files")[0][0].count("/data/") == 1
    check(table, "s = 'a'")


def test_expired_snapshots(make, check):
    """Snapshots that are gone take nothing with them that is live."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a')", "insert into {t} values (2, 'b')", "delete from {t} where id = 1")
    table.sql("call ice.system.expire_snapshots(table => '{n}', older_than => timestamp '2999-01-01 00:00:00')")

    assert len(table.snapshots) == 1
    assert Path(table.metadata.removeprefix("file:")).exists()
    check(table)
