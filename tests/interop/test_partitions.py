"""Spark partitioned a table, by each transform and by several specs: pruning never loses a row."""

from __future__ import annotations


def test_identity_of_texts(make, check):
    """Partitions named with slashes, spaces, percent signs and other letters; an empty one; a null one."""
    table = make("id int, s string", "s")
    table.sql(
        "insert into {t} values (1, 'a/b'), (2, 'a b=c'), (3, '%20+'), (4, ''), (5, null), (6, 'größe'), (7, 'null'), (8, '.')"
    )

    check(table, "s = 'a/b'", "s = ''", "s is null", "s = 'null'", "s like 'a%'", "s != 'größe'", "s in ('%20+', '.')")


def test_identity_of_numbers(make, check):
    """Partitions by integers, decimals and booleans."""
    table = make("id int, n int, w bigint, d decimal(9, 2), f boolean", "n, w, d, f")
    table.sql(
        "insert into {t} values (1, -1, -5, -1.50, true), (2, 7, 5000000000, 0.01, false), (3, null, null, null, null)"
    )

    check(table, "n < 0", "w > 0", "d = -1.50", "d < 0.01", "f = false", "f is null", "n in (7, 8)")


def test_identity_of_floats(make, check):
    """Partitions by floats: NaN and the two zeroes are partitions, too."""
    table = make("id int, x double, y float", "x, y")
    table.sql(
        "insert into {t} values (1, double('NaN'), float('NaN')), (2, 1.5, 1.5), (3, double('-0.0'), float('-0.0')), (4, 0.0, 0.0),"
        " (5, null, null), (6, double('-Infinity'), float('Infinity'))"
    )

    check(table, "x = 1.5", "x <= 1.5", "y = 1.5", "y < 2 and id < 5", "x is null", "x is not null")


def test_identity_of_dates_and_times(make, check):
    """Partitions by dates and by points in time, before 1970 too."""
    table = make("id int, d date, moment timestamp, plain timestamp_ntz", "d, moment, plain")
    table.sql(
        "insert into {t} values"
        " (1, date '1969-12-31', timestamp '1969-12-31 23:59:59.999999', timestamp_ntz '1969-12-31 23:59:59.999999'),"
        " (2, date '2024-02-29', timestamp '2024-02-29 12:00:00', timestamp_ntz '2024-02-29 12:00:00'), (3, null, null, null)"
    )

    check(
        table, "d < '1970-01-01'", "moment >= '1970-01-01T00:00:00+00:00'", "plain = '2024-02-29T12:00:00'", "d is null"
    )


def test_identity_of_bytes(make, check):
    """Partitions by bytes."""
    table = make("id int, b binary", "b")
    table.sql("insert into {t} values (1, X''), (2, X'00FF'), (3, null)")

    check(table, "b is null", "id = 2")


def test_buckets(make, check):
    """Buckets of every type that has them: an equality prunes to the right one."""
    table = make(
        "id int, w bigint, s string, d date, moment timestamp, m decimal(20, 3), b binary",
        "bucket(5, id), bucket(5, w), bucket(5, s), bucket(5, d), bucket(5, moment), bucket(5, m), bucket(5, b)",
    )
    table.sql(
        "insert into {t} select int(i) - 10, i * 1000000007, concat('k', i), date_add(date '1969-12-20', int(i)),"
        " timestamp_micros(i * 86400000123 - 500), cast((i - 10) * 1.125 as decimal(20, 3)), cast(concat('b', i) as binary)"
        " from (select id as i from range(20))",
        "insert into {t} values (null, null, null, null, null, null, null)",
    )

    check(
        table,
        "id = -3",
        "w = 5000000035",
        "s = 'k7'",
        "s in ('k1', 'k2', 'k99')",
        "d = '1969-12-31'",
        "m = -1.125",
        "id is null",
        "s != 'k3'",
        "w > 5 and id < 0",
    )


def test_truncated_values(make, check):
    """Truncated numbers (negative ones downwards), decimals and texts (by letters, not bytes)."""
    table = make(
        "id int, n int, w bigint, m decimal(9, 2), s string",
        "truncate(10, n), truncate(100, w), truncate(50, m), truncate(2, s)",
    )
    table.sql(
        "insert into {t} values (1, -1, -101, -0.01, 'äöü'), (2, 9, 99, 0.49, 'äö'), (3, 10, 100, 0.50, '😀😀x'),"
        " (4, -10, -100, -0.50, ''), (5, null, null, null, null), (6, 2147483647, 9223372036854775807, 9999999.99, 'a')"
    )

    check(
        table,
        "n < 0",
        "n > 8",
        "n >= 10",
        "w = -101",
        "w <= -100",
        "m > 0",
        "m = -0.01",
        "s = 'äöü'",
        "s like 'äö%'",
        "s not like 'äö%' and id > 0",
        "s > 'a'",
        "n is null",
    )


def test_years_months_days_hours(make, check):
    """Time in coarser steps, around 1970, for dates and for points in time."""
    table = make("id int, y date, m timestamp, d timestamp_ntz, h timestamp", "years(y), months(m), days(d), hours(h)")
    table.sql(
        "insert into {t} values"
        " (1, date '1969-12-31', timestamp '1969-12-31 23:59:59.999999', timestamp_ntz '1969-12-31 23:59:59.999999', timestamp '1969-12-31 23:59:59.999999'),"
        " (2, date '1970-01-01', timestamp '1970-01-01 00:00:00', timestamp_ntz '1970-01-01 00:00:00', timestamp '1970-01-01 00:00:00'),"
        " (3, date '2024-02-29', timestamp '2024-02-29 12:30:00', timestamp_ntz '2024-02-29 12:30:00', timestamp '2024-02-29 12:30:00'),"
        " (4, null, null, null, null), (5, date '1968-01-01', timestamp '1969-12-01 00:00:00', timestamp_ntz '1969-12-30 00:00:00', timestamp '1969-12-31 22:59:59')"
    )

    check(
        table,
        "y < '1970-01-01'",
        "y = '2024-02-29'",
        "m >= '1970-01-01T00:00:00+00:00'",
        "m < '1969-12-31T23:59:59.999999+00:00'",
        "d <= '1969-12-31T23:59:59.999999'",
        "d > '1969-12-31T23:59:59.999999'",
        "h = '1969-12-31T23:59:59.999999+00:00'",
        "h < '1970-01-01T00:00:00+00:00'",
        "y != '1970-01-01'",
        "m is null",
    )


def test_specs_that_changed(make, check):
    """Files of three partition specs in one table: each is pruned by its own."""
    table = make("id int, s string, moment timestamp_ntz", "s")
    first = "(1, 'a', timestamp_ntz '2024-01-31 23:00:00'), (2, 'b', timestamp_ntz '2024-02-01 01:00:00')"
    table.sql(
        f"insert into {{t}} values {first}",
        "alter table {t} add partition field days(moment)",
        "insert into {t} values (3, 'a', timestamp_ntz '2024-02-01 00:00:00'), (4, null, null)",
        "alter table {t} drop partition field s",
        "alter table {t} replace partition field days(moment) with months(moment)",
        "alter table {t} add partition field bucket(4, id)",
        "insert into {t} values (5, 'a', timestamp_ntz '2024-01-31 00:00:00'), (6, 'c', timestamp_ntz '2024-03-01 00:00:00')",
    )

    check(
        table,
        "s = 'a'",
        "moment < '2024-02-01T00:00:00'",
        "id = 5",
        "s is null",
        "s = 'a' and moment >= '2024-02-01T00:00:00'",
    )


def test_partition_fields_dropped_in_v1(make, check):
    """In version 1 a dropped partition field stays as one that is always null."""
    table = make("id int, s string", "s", version=1)
    table.sql(
        "insert into {t} values (1, 'a'), (2, 'b')",
        "alter table {t} drop partition field s",
        "insert into {t} values (3, 'a'), (4, null)",
    )

    check(table, "s = 'a'", "s is null", "s != 'a'")


def test_source_columns_that_changed(make, check):
    """What a table is partitioned by is renamed and promoted."""
    table = make("id int, n int", "n, bucket(4, id)")
    table.sql(
        "insert into {t} values (1, 10), (2, null)",
        "alter table {t} rename column n to m",
        "alter table {t} alter column m type bigint",
        "alter table {t} alter column id type bigint",
        "insert into {t} values (5000000000, 5000000000), (1, 10)",
    )

    check(table, "m = 10", "m > 10", "id = 1", "m is null")


def test_a_source_column_that_was_dropped(make, check):
    """A column that an older spec partitions by can go once the current spec doesn't need it."""
    table = make("id int, s string", "s")
    table.sql(
        "insert into {t} values (1, 'a'), (2, 'b')",
        "alter table {t} drop partition field s",
        "alter table {t} drop column s",
        "insert into {t} values (3)",
    )

    check(table, "id = 1", "id > 2")


def test_partitions_of_nested_fields(make, check):
    """A field of a struct is what the table is partitioned by."""
    table = make("id int, s struct<country: string, moment: timestamp_ntz>", "s.country, days(s.moment)")
    table.sql(
        "insert into {t} values (1, named_struct('country', 'DE', 'moment', timestamp_ntz '2024-01-01 00:00:00')),"
        " (2, named_struct('country', null, 'moment', null)), (3, named_struct('country', 'AT', 'moment', timestamp_ntz '2023-01-01 00:00:00'))"
    )

    check(table, "s.country = 'DE'", "s.country is null", "s.moment < '2024-01-01T00:00:00'")


def test_identity_of_uuids(make, check_reads, spark):
    """Partitions by UUIDs."""
    table = make("id int")
    table.java.updateSchema().addColumn("u", spark._jvm.org.apache.iceberg.types.Types.UUIDType.get()).commit()
    table.sql(
        "alter table {t} add partition field u",
        "insert into {t} values (1, 'f79c3e09-677c-4bbd-a479-512f87f60cc4'), (2, null)",
    )

    check_reads({table.metadata: [table.read(), table.read("id = 1")]}, "Spark")


def test_identity_of_fixed_bytes(make, check_reads, spark):
    """Partitions by bytes of a fixed length."""
    table = make("id int")
    table.java.updateSchema().addColumn("f", spark._jvm.org.apache.iceberg.types.Types.FixedType.ofLength(3)).commit()
    table.sql("alter table {t} add partition field f", "insert into {t} values (1, X'010203'), (2, null)")

    check_reads({table.metadata: [table.read(), table.read("id = 1")]}, "Spark")
