"""Spark changed a table's columns between writes: files of each age are read by field id."""

from __future__ import annotations


def test_added_columns(make, check):
    """Files from before a column has nulls for it; its bounds prune nothing there."""
    table = make("id int, s string")
    table.sql(
        "insert into {t} values (1, 'a'), (2, 'b')",
        "alter table {t} add columns (n bigint, st struct<x: int>, l array<string>)",
        "insert into {t} values (3, 'c', 30, named_struct('x', 3), array('z'))",
        "alter table {t} add column front double first",
        "insert into {t} values (0.5, 4, 'd', null, null, null)",
    )

    check(table, "n is null", "n = 30", "front = 0.5", "st.x = 3", "n > 0 or id = 1")


def test_dropped_columns(make, check):
    """A column that was dropped is gone from old files too."""
    table = make("id int, s string, n int")
    table.sql(
        "insert into {t} values (1, 'a', 10)",
        "alter table {t} drop column s",
        "insert into {t} values (2, 20)",
    )

    check(table, "n = 10", "id = 2")


def test_a_column_comes_again_under_its_old_name(make, check):
    """What is added under a dropped column's name is another column, of another type here."""
    table = make("id int, s string")
    table.sql(
        "insert into {t} values (1, 'old')",
        "alter table {t} drop column s",
        "alter table {t} add column s int",
        "insert into {t} values (2, 7)",
    )

    check(table, "s is null", "s = 7")


def test_renamed_columns(make, check):
    """Renamed columns keep their values, also where two have changed their names with each other."""
    table = make("id int, a string, b string")
    table.sql(
        "insert into {t} values (1, 'a', 'b')",
        "alter table {t} rename column a to c",
        "alter table {t} rename column b to a",
        "alter table {t} rename column c to b",
        "insert into {t} values (2, 'new a', 'new b')",
    )

    check(table, "a = 'b'", "b = 'a'", "a like 'new%'")


def test_reordered_columns(make, check):
    """Columns stand where the table's schema has them."""
    table = make("id int, a string, b double")
    table.sql(
        "insert into {t} values (1, 'x', 1.5)",
        "alter table {t} alter column b first",
        "alter table {t} alter column id after a",
        "insert into {t} values (2.5, 'y', 2)",
    )

    check(table, "b = 1.5", "id = 2")


def test_promoted_columns(make, check):
    """Int to bigint, float to double and a wider decimal; filters reach beyond the old type."""
    table = make("id int, f float, d decimal(9, 2)")
    table.sql(
        "insert into {t} values (1, float(0.1), 1.25), (-5, float('-Infinity'), -9999999.99)",
        "alter table {t} alter column id type bigint",
        "alter table {t} alter column f type double",
        "alter table {t} alter column d type decimal(20, 2)",
        "insert into {t} values (5000000000, 0.1, 123456789012345678.25), (null, null, null)",
    )

    check(table, "id = 1", "id < 5000000000", "f > 0", "d > 9999999.99", "d = 1.25", "id is null")


def test_columns_that_are_no_longer_required(make, check):
    """A required column that became optional takes nulls."""
    table = make("id int not null, s string not null")
    table.sql(
        "insert into {t} values (1, 'a')",
        "alter table {t} alter column s drop not null",
        "insert into {t} values (2, null)",
    )

    check(table, "s is null", "s = 'a'")


def test_old_snapshots_have_their_own_schema(make, check):
    """A snapshot is read with the columns it had."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a')", "alter table {t} rename column s to text")
    table.sql("alter table {t} add column n int", "insert into {t} values (2, 'b', 20)")
    table.sql("alter table {t} drop column text", "insert into {t} values (3, 30)")

    check(table, snapshots=table.snapshots)


def test_files_without_ids_follow_the_name_mapping(make, check, spark, tmp_path):
    """Parquet files that a table took over from elsewhere are matched by the names it had for them."""
    spark.sql("select 1 as id, 'a' as s, named_struct('x', 1, 'y', array(1, null)) as st").write.parquet(
        f"{tmp_path}/plain"
    )
    table = make("id int, s string, st struct<x: int, y: array<int>>")
    table.sql(
        f"call ice.system.add_files(table => '{{n}}', source_table => '`parquet`.`{tmp_path}/plain`')",
        "alter table {t} rename column s to text",
        "alter table {t} add column n int",
        "insert into {t} values (2, 'b', named_struct('x', 2, 'y', array()), 20)",
    )

    check(table, "text = 'a'", "n is null", "st.x = 1")


def test_files_of_folders_with_partitions(make, check, spark, tmp_path):
    """A Hive-style folder's partition columns are in its paths alone; the table has them from its manifests."""
    frame = spark.sql("select * from values (1, 'a', 'DE'), (2, 'b', 'AT'), (3, 'c', null) as v(id, s, country)")
    frame.write.partitionBy("country").parquet(f"{tmp_path}/plain")
    table = make("id int, s string, country string", "country")
    table.sql(f"call ice.system.add_files(table => '{{n}}', source_table => '`parquet`.`{tmp_path}/plain`')")
    table.sql("insert into {t} values (4, 'd', 'DE')")

    check(table, "country = 'DE'", "country is null", "country != 'AT'", "id = 2")
