"""Spark rewrote files: copy on write, overwrites, compaction."""

from __future__ import annotations


def test_copy_on_write(make, check):
    """Deletes, updates and merges that rewrite files; every snapshot on the way."""
    table = make("id int, s string, half int", "half")
    table.sql(
        "insert into {t} select int(id), concat('s', id), int(id % 2) from range(20)",
        "delete from {t} where id in (1, 2)",
        "update {t} set s = 'new' where id = 3",
        "merge into {t} t using (select 4 as id union all select 99) v on t.id = v.id"
        " when matched then update set s = 'merged' when not matched then insert (id, s) values (v.id, 'added')",
        "delete from {t} where half = 1",
    )

    check(table, "id < 5", "s = 'merged'", "half is null", snapshots=table.snapshots)


def test_overwrites(make, check):
    """All of a table, some of its partitions, and a condition."""
    table = make("id int, s string", "s")
    table.sql("insert into {t} values (1, 'a'), (2, 'b'), (3, 'c')", "insert overwrite {t} values (4, 'a'), (5, 'd')")
    table.session.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    table.sql("insert into {t} values (6, 'b')", "insert overwrite {t} values (7, 'a')")
    table.session.conf.set("spark.sql.sources.partitionOverwriteMode", "static")

    check(table, "s = 'a'", snapshots=table.snapshots)


def test_compaction(make, check):
    """Small files became one; sorted, and by a space-filling curve."""
    table = make("id int, s string, n int")
    for number in range(4):
        table.sql(f"insert into {{t}} values ({number}, 'a', {10 - number}), ({number + 10}, null, {number})")
    table.sql("call ice.system.rewrite_data_files(table => '{n}', options => map('rewrite-all', 'true'))")
    table.sql(
        "call ice.system.rewrite_data_files(table => '{n}', strategy => 'sort', sort_order => 'n desc nulls last',"
        " options => map('rewrite-all', 'true'))",
        "call ice.system.rewrite_data_files(table => '{n}', strategy => 'sort', sort_order => 'zorder(id, n)',"
        " options => map('rewrite-all', 'true'))",
    )

    assert table.sql("select count(*) from {t}.data_files")[0][0] == 1
    check(table, "s = 'a'", "n < 3", snapshots=table.snapshots)


def test_a_table_that_was_emptied(make, check):
    """All rows deleted by metadata alone, and written again."""
    table = make("id int, s string")
    table.sql(
        "insert into {t} values (1, 'a')", "delete from {t}", "insert into {t} values (2, 'b')", "truncate table {t}"
    )

    check(table, snapshots=table.snapshots)


def test_a_table_that_was_replaced(make, check):
    """`create or replace` keeps the history; old snapshots have the columns they had."""
    table = make("id int, s string", "s")
    table.sql("insert into {t} values (1, 'a'), (2, 'b')")
    table.sql(
        "create or replace table {t} using iceberg as select 7L as n, 'x' as s, 1.5 as d union all select 8L, 'y', 2.5"
    )

    check(table, "s = 'x'", "n = 7 and d > 2", snapshots=table.snapshots)
