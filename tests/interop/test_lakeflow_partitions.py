"""lakeflow partitioned it: Spark and the others find every row, Spark makes the same partitions and prunes as well."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from readers.spark import java_table, metadata_table

ZONED = pa.timestamp("us", "UTC")
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (a column without a zone)
BEFORE = dt.datetime(1969, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001
LEAP = dt.datetime(2024, 2, 29, 12, 30)  # noqa: DTZ001

IDENTITIES = ["n", "s", "day", "moment", "plain", "d", "f", "b"]
BUCKETS = [f"bucket(4, {column})" for column in ("n", "s", "day", "moment", "d", "b")]
TRUNCATIONS = ["truncate(10, n)", "truncate(2, s)", "truncate(50, d)", "truncate(2, b)"]
TIMES = [
    "year(day)",
    "month(day)",
    "day(day)",
    "year(plain)",
    "month(plain)",
    "day(plain)",
    "hour(plain)",
    "hour(moment)",
]


@pytest.fixture
def mixed() -> pa.Table:
    """Rows around the edges of every transform."""
    times = [BEFORE, EPOCH, LEAP, None, dt.datetime(1968, 1, 1), EPOCH + dt.timedelta(hours=1)]  # noqa: DTZ001
    return pa.table(
        {
            "id": pa.array(range(6), pa.int64()),
            "n": pa.array([-1, 0, 10, None, -10, 2**31 - 1], pa.int32()),
            "s": pa.array(["äöü", "a/b=c %", "", None, "😀😀x", "null"]),
            "day": pa.array([each and each.date() for each in times]),
            "moment": pa.array(times, ZONED),
            "plain": pa.array(times, pa.timestamp("us")),
            "d": pa.array([Decimal(v) if v else None for v in ("-0.01", "0.00", "0.50", None, "-0.50", "9999999.99")], pa.decimal128(9, 2)),
            "f": pa.array([True, False, True, None, False, True]),
            "b": pa.array([b"", b"\x00\xff\x01", b"abc", None, b"a", b"\xff"]),
        }
    )  # fmt: skip


EDGES = [
    "n < 0", "n = 10", "s = 'äöü'", "s like 'äö%'", "s in ('null', '')", "day <= '1969-12-31'",
    "moment < '1970-01-01T00:00:00+00:00'", "plain = '1969-12-31T23:59:59.999999'", "plain > '1970-01-01T00:00:00'",
    "d < 0", "d = -0.01", "n is null",
]  # fmt: skip


def test_written_by_identity(written, check_written, mixed):
    """Partitioned by a column of each type, every filter finds its rows."""
    check_written([written(mixed, partition_by=[term]) for term in IDENTITIES], mixed, *EDGES)


def test_written_by_buckets(written, check_written, mixed):
    """Partitioned by a hash of each type."""
    check_written([written(mixed, partition_by=[term]) for term in BUCKETS], mixed, *EDGES)


def test_written_truncated(written, check_written, mixed):
    """Partitioned by a part of each type."""
    check_written([written(mixed, partition_by=[term]) for term in TRUNCATIONS], mixed, *EDGES)


def test_written_by_time(written, check_written, mixed):
    """Partitioned by years, months, days and hours, before 1970 too."""
    check_written([written(mixed, partition_by=[term]) for term in TIMES], mixed, *EDGES)


@pytest.mark.parametrize("term", [*IDENTITIES, *BUCKETS, *TRUNCATIONS, *TIMES])
def test_written_partition_values(written, make, mixed, spark, tmp_path, term):
    """The partitions that lakeflow writes are those that Spark makes of the same rows."""
    ours = metadata_table(spark, written(mixed, partition_by=[term]).iceberg.metadata_location, "partitions")
    pq.write_table(mixed, tmp_path / "plain.parquet")
    columns = "id bigint, n int, s string, day date, moment timestamp, plain timestamp_ntz, d decimal(9, 2), f boolean, b binary"
    theirs = make(columns, term)
    theirs.sql(f"insert into {{t}} select * from parquet.`{tmp_path}/plain.parquet`")

    count = "select partition, record_count from {t}.partitions"
    assert sorted(map(str, theirs.sql(count))) == sorted(map(str, ours.select("partition", "record_count").collect()))


@pytest.mark.parametrize(
    ("term", "column", "value"),
    [
        ("s", "s", "a/b=c %"),
        ("bucket(4, s)", "s", "äöü"),
        ("bucket(4, n)", "n", 10),
        ("truncate(10, n)", "n", -1),
        ("year(day)", "n", -10),
    ],
)
def test_spark_prunes_what_lakeflow_partitioned(written, mixed, spark, term, column, value):
    """Spark opens one file for an equality, as lakeflow does: partition values and bounds are right and tight."""
    table = written(mixed, partition_by=[term])

    wanted = spark._jvm.org.apache.iceberg.expressions.Expressions.equal(column, value)
    planned = list(java_table(spark, table.iceberg.metadata_location).newScan().filter(wanted).planFiles().iterator())

    literal = f"'{value}'" if isinstance(value, str) else value
    assert len(planned) == len(table.scan(where=f"{column} = {literal}").pieces) == 1
    assert len(list(java_table(spark, table.iceberg.metadata_location).newScan().planFiles().iterator())) > 1
