"""Snapshots, branches and tags that Spark made."""

from __future__ import annotations


def test_time_travel(make, check):
    """Each snapshot has its own rows."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a')", "insert into {t} values (2, 'b')", "delete from {t} where id = 1")

    check(table, snapshots=table.snapshots)


def test_branches_and_tags(make, check):
    """Where a branch or a tag points to is a snapshot like any other, also where main has never been."""
    table = make("id int, s string")
    table.sql(
        "insert into {t} values (1, 'a')",
        "alter table {t} create tag first",
        "alter table {t} create branch side",
        "insert into {t}.branch_side values (10, 'side')",
        "insert into {t} values (2, 'b')",
        "delete from {t}.branch_side where id = 1",
    )

    check(table, "id > 1", snapshots=[row[0] for row in table.sql("select snapshot_id from {t}.refs")])


def test_rollbacks(make, check):
    """The current snapshot is not the newest one."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a')", "insert into {t} values (2, 'b')")
    table.sql(f"call ice.system.rollback_to_snapshot('{{n}}', {table.snapshots[0]})")

    check(table, snapshots=table.snapshots)


def test_staged_and_cherry_picked(make, check):
    """A snapshot that was staged, audited and then published."""
    table = make("id int, s string", properties={"write.wap.enabled": "true"})
    table.sql("insert into {t} values (1, 'a')")
    table.session.conf.set("spark.wap.id", "audit")
    table.sql("insert into {t} values (2, 'b')")
    table.session.conf.unset("spark.wap.id")
    table.sql("insert into {t} values (3, 'c')")
    table.sql("call ice.system.publish_changes('{n}', 'audit')")

    check(table, "id > 1", snapshots=table.snapshots)


def test_a_branch_fast_forwarded(make, check):
    """Main takes a branch's snapshots over."""
    table = make("id int, s string")
    table.sql(
        "insert into {t} values (1, 'a')",
        "alter table {t} create branch side",
        "insert into {t}.branch_side values (2, 'b')",
    )
    table.sql("call ice.system.fast_forward('{n}', 'main', 'side')")

    check(table, "id > 1")
