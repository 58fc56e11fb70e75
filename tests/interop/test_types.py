"""Spark wrote values of every type: the least, the greatest, nulls, and what has no order."""

from __future__ import annotations

import pytest
from pyiceberg.expressions import EqualTo, LessThan
from readers import Read, Rows, lakeflow


def test_integers_and_booleans(make, check):
    """The ends of both integer types, and nulls."""
    table = make("id int, wide bigint, flag boolean")
    table.sql(
        "insert into {t} values (-2147483648, -9223372036854775808, true), (2147483647, 9223372036854775807, false),"
        " (0, 0, null), (null, null, null)"
    )

    check(table, "id > 0", "wide <= 0", "flag = true", "flag is null", "wide in (0, 9223372036854775807)")


def test_floats(make, check):
    """NaN, both infinities, both zeroes and the smallest numbers come as they are."""
    table = make("id int, single float, double double")
    table.sql(
        "insert into {t} values (1, float('NaN'), double('NaN')), (2, float('Infinity'), double('-Infinity')),"
        " (3, float('-0.0'), double('-0.0')), (4, 0.0, 0.0), (5, float('1.4E-45'), double('4.9E-324')),"
        " (6, float('3.4028235E38'), double('1.7976931348623157E308')), (7, null, null)"
    )

    check(table, "id > 2", "double is null")


def test_float_filters(make, check):
    """Comparisons with floats, in files that hold NaN beside numbers: bounds leave NaN out."""
    table = make("id int, double double")
    table.sql(
        "insert into {t} select /*+ coalesce(1) */ * from values (1, double('NaN')), (2, 1.5), (3, -2.5), (4, null)"
    )
    table.sql("insert into {t} select /*+ coalesce(1) */ * from values (5, double('NaN')), (6, double('NaN'))")

    check(
        table,
        "double < 1.5",
        "double <= 1.5",
        "double = 1.5",
        "double != 1.5 and id < 5 and id > 1",
        "double is not null",
    )


def test_filters_by_infinity(make):
    """An infinity is a value of single precision like any other."""
    table = make("x float")
    table.sql("insert into {t} values (float('Infinity')), (1.5), (float('-Infinity'))")
    ours = lakeflow.opened(table.metadata)

    found = ours.scan(where=EqualTo("x", float("inf"))).read().to_arrow()["x"].to_pylist()
    below = ours.scan(where=LessThan("x", float("inf"))).read().to_arrow()["x"].to_pylist()

    assert (found, sorted(below)) == ([float("inf")], [float("-inf"), 1.5])


def test_filters_by_lists_with_zero(make):
    """Both zeroes are in a list that has one of them, as they are equal to each other."""
    table = make("x double")
    table.sql("insert into {t} values (0.0), (double('-0.0')), (1.5)")

    found = lakeflow.opened(table.metadata).scan(where="x in (0.0, 7.5)").read().to_arrow()

    assert len(found) == len(table.read("x in (0.0, 7.5)").truth.values) == 2


def test_decimals(make, check):
    """Decimals in 4, 8 and 16 bytes, to their last digit."""
    table = make("small decimal(9, 2), middle decimal(18, 4), large decimal(38, 10), whole decimal(38, 0)")
    table.sql(
        "insert into {t} values"
        " (9999999.99, 99999999999999.9999, 9999999999999999999999999999.9999999999, 99999999999999999999999999999999999999),"
        " (-9999999.99, -99999999999999.9999, -9999999999999999999999999999.9999999999, -99999999999999999999999999999999999999),"
        " (0.01, 0.0001, 0.0000000001, 1), (null, null, null, null)"
    )

    check(table, "small > 0.01", "middle = 0.0001", "large < 0", "whole >= 1", "small is null")


def test_dates_and_times(make, check):
    """Dates and points in time from year 1 to 9999, before 1970 too, with and without a zone."""
    table = make("day date, moment timestamp, plain timestamp_ntz")
    table.sql(
        "insert into {t} values"
        " (date '0001-01-02', timestamp '0001-01-02 00:00:00', timestamp_ntz '0001-01-02 00:00:00'),"
        " (date '9999-12-31', timestamp '9999-12-30 23:59:59.999999', timestamp_ntz '9999-12-31 23:59:59.999999'),"
        " (date '1969-12-31', timestamp '1969-12-31 23:59:59.999999', timestamp_ntz '1969-12-31 23:59:59.999999'),"
        " (date '1970-01-01', timestamp '1970-01-01 00:00:00', timestamp_ntz '1970-01-01 00:00:00'),"
        " (null, null, null)"
    )

    check(
        table,
        "day < '1970-01-01'",
        "day = '9999-12-31'",
        "moment >= '1970-01-01T00:00:00+00:00'",
        "plain < '1970-01-01T00:00:00'",
        "plain is null",
    )


def test_texts_and_bytes(make, check):
    """Empty, long and non-Latin texts, and bytes that are no text; bounds are cut at sixteen of them."""
    table = make("id int, s string, b binary")
    table.sql(
        "insert into {t} values (1, '', X''), (2, 'ä€😀', X'00FF80'), (3, repeat('z', 40), unhex(repeat('FF', 40))),"
        " (4, null, null), (5, concat(repeat('z', 16), '😀'), X'7A'), (6, concat('a', char(0), 'b'), X'00')"
    )
    table.sql("insert into {t} values (7, repeat('😀', 40), unhex(repeat('00', 40)))")

    check(
        table,
        "s = ''",
        "s > 'zzzzzzzzzzzzzzzz'",
        "s like 'zzzzzzzzzzzzzzzzz%'",
        "s in ('ä€😀', 'nothing')",
        "s not in ('', 'ä€😀')",
        "s != ''",
        "s is null",
    )


def test_uuid_and_fixed(make, check_reads, spark):
    """Spark shows a UUID as text and fixed bytes as binary; here both are compared as bytes."""
    table = make("id int")
    types = spark._jvm.org.apache.iceberg.types.Types
    update = table.java.updateSchema()
    update.addColumn("u", types.UUIDType.get()).addColumn("f", types.FixedType.ofLength(4)).commit()
    table.sql("insert into {t} values (1, 'f79c3e09-677c-4bbd-a479-512f87f60cc4', X'01020304'), (2, null, null)")

    truth = Rows.of(
        ["id", "u", "f"],
        [[1, bytes.fromhex("f79c3e09677c4bbda479512f87f60cc4"), bytes.fromhex("01020304")], [2, None, None]],
    )
    check_reads({table.metadata: [Read(truth)]}, "Spark")


def test_required_columns(make, check):
    """Columns that may not be null, nested ones too."""
    table = make("id bigint not null, s struct<a: int not null, b: string> not null, l array<int> not null")
    table.sql(
        "insert into {t} values (1, named_struct('a', 1, 'b', 'x'), array(1, null)), (2, named_struct('a', 2, 'b', null), array())"
    )

    check(table, "id = 2", "s.a = 1")


@pytest.mark.parametrize("kind", ["int", "string", "date", "timestamp", "decimal(20, 3)", "boolean", "double"])
def test_columns_of_nulls_alone(make, check, kind):
    """A file in which a column is never set has no bounds for it."""
    table = make(f"id int, c {kind}")
    table.sql("insert into {t} values (1, null), (2, null)")

    check(table, "c is not null", "id = 1")


def test_a_table_that_is_empty(make, check):
    """A table nobody has written to has no rows, and its columns."""
    check(make("id int, s string"))


def test_names_of_columns(make, check):
    """Names with dots, spaces, other letters and two cases."""
    table = make("`a.b` int, `c d` string, `größe` double, `ID` int, `select` int, `1st` int, `x-y` int")
    table.sql("insert into {t} values (1, 'x', 1.5, 1, 2, 3, 4), (2, 'y', 2.5, 2, 3, 4, 5)")

    check(table)
