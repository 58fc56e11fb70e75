"""Spark's data files: formats, codecs, and how Parquet is laid out in them."""

from __future__ import annotations

import pytest

COLUMNS = "id bigint, s string, x double, moment timestamp, m decimal(20, 3), l array<int>"
ROWS = (
    "insert into {t} select id, concat('text ', id % 50), id / 7, timestamp_micros(id * 1000003), cast(id as decimal(20, 3)),"
    " if(id % 3 = 0, null, array(int(id), null)) from range(2000)"
)


def test_orc(make, check):
    """Data files that are ORC."""
    table = make(COLUMNS, properties={"write.format.default": "orc"})
    table.sql(ROWS)

    check(table, "id < 10", "s = 'text 7'")


def test_avro(make, check):
    """Data files that are Avro."""
    table = make(COLUMNS, properties={"write.format.default": "avro"})
    table.sql(ROWS)

    check(table, "id < 10", "s = 'text 7'")


def test_formats_side_by_side(make, check):
    """A table that changed from ORC to Parquet."""
    table = make("id bigint, s string", properties={"write.format.default": "orc"})
    table.sql("insert into {t} values (1, 'a')", "alter table {t} set tblproperties ('write.format.default'='parquet')")
    table.sql("insert into {t} values (2, 'b')")

    check(table, "id = 1", "s = 'b'")


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "uncompressed"])
def test_codecs(make, check, codec):
    """Each compression that Spark has at hand."""
    table = make(COLUMNS, properties={"write.parquet.compression-codec": codec})
    table.sql(ROWS)

    check(table, "id < 10", "s = 'text 7'", "x > 280")


def test_lz4(make, check):
    """The codec `LZ4` as Hadoop frames it, which Parquet has given up for `LZ4_RAW`."""
    table = make(COLUMNS, properties={"write.parquet.compression-codec": "lz4"})
    table.sql(ROWS)

    check(table, "id < 10", "s = 'text 7'")


def test_bloom_filters(make, check):
    """Bloom filters in the files: their bytes are no data."""
    table = make(
        COLUMNS, properties={f"write.parquet.bloom-filter-enabled.column.{name}": "true" for name in ("id", "s")}
    )
    table.sql(ROWS)

    check(table, "id = 77", "s = 'text 7'", "s = 'nothing'")


def test_many_row_groups_and_pages(make, check):
    """Files of small row groups of small pages, with dictionaries that are given up on the way."""
    table = make(
        COLUMNS,
        properties={
            "write.parquet.row-group-size-bytes": "4096",
            "write.parquet.page-size-bytes": "512",
            "write.parquet.page-row-limit": "20",
            "write.parquet.dict-size-bytes": "256",
            "write.parquet.row-group-check-min-record-count": "10",
        },
    )
    table.sql(ROWS)

    check(table, "id > 1990", "s = 'text 7'", "x < 1", "moment > '1970-01-01T00:30:00+00:00'")


def test_metrics_turned_off(make, check):
    """Files without column statistics in the manifests are read, not left out."""
    table = make(
        COLUMNS, properties={"write.metadata.metrics.default": "none", "write.metadata.metrics.column.s": "counts"}
    )
    table.sql(ROWS)

    check(table, "id < 10", "s is null", "s = 'text 7'")


def test_short_bounds(make, check):
    """Bounds cut to one letter, upper ones raised."""
    table = make("id int, s string", properties={"write.metadata.metrics.default": "truncate(1)"})
    table.sql("insert into {t} values (1, 'abc'), (2, 'abd')", "insert into {t} values (3, 'b'), (4, 'bz')")

    check(table, "s > 'abc'", "s = 'abd'", "s >= 'b'", "s like 'ab%'", "s not like 'ab%'", "s != 'b'")


def test_sorted_tables(make, check):
    """A table with a sort order, by columns and by a transform."""
    table = make("id int, s string")
    table.sql("alter table {t} write ordered by s desc nulls last, bucket(4, id)")
    table.sql("insert into {t} values (1, 'a'), (2, null), (3, 'c')")

    check(table, "s = 'a'")


@pytest.mark.parametrize("stored", ["INT96", "TIMESTAMP_MICROS"])
def test_files_of_spark_taken_over(make, check, spark, tmp_path, stored):
    """Files that Spark wrote without Iceberg, with both of its kinds of timestamps."""
    spark.conf.set("spark.sql.parquet.outputTimestampType", stored)
    spark.sql(
        "select int(id) as id, timestamp_millis(id * 1000003 - 1000) as moment, cast(id as decimal(9, 2)) as m,"
        " array(int(id)) as l from range(10)"
    ).write.parquet(f"{tmp_path}/plain")
    spark.conf.unset("spark.sql.parquet.outputTimestampType")
    table = make("id int, moment timestamp, m decimal(9, 2), l array<int>")
    table.sql(f"call ice.system.add_files(table => '{{n}}', source_table => '`parquet`.`{tmp_path}/plain`')")

    check(table, "id < 5", "moment < '1970-01-01T00:00:00+00:00'", "m = 7.00")


def test_files_with_milliseconds_taken_over(make, check_reads, spark, tmp_path):
    """Timestamps in milliseconds. Spark takes them over with bounds as of microseconds: no filter on them is right."""
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MILLIS")
    spark.sql("select int(id) as id, timestamp_millis(id * 1000003 - 1000) as moment from range(10)").write.parquet(
        f"{tmp_path}/plain"
    )
    spark.conf.unset("spark.sql.parquet.outputTimestampType")
    table = make("id int, moment timestamp", properties={"read.parquet.vectorization.enabled": "false"})
    table.sql(f"call ice.system.add_files(table => '{{n}}', source_table => '`parquet`.`{tmp_path}/plain`')")

    assert table.read("moment >= '1970-01-01T00:30:00+00:00'").truth.values == ()
    check_reads({table.metadata: [table.read("id >= 0"), table.read("id < 5")]}, "Spark")


def test_files_in_the_legacy_layout(make, check, spark, tmp_path):
    """Lists of two levels and decimals in bytes, as old Spark and Hive wrote them."""
    spark.conf.set("spark.sql.parquet.writeLegacyFormat", "true")
    spark.sql(
        "select int(id) as id, cast(id as decimal(9, 2)) as m, array(int(id), null) as l,"
        " map('k', named_struct('a', int(id))) as mp from range(10)"
    ).write.parquet(f"{tmp_path}/plain")
    spark.conf.unset("spark.sql.parquet.writeLegacyFormat")
    table = make("id int, m decimal(9, 2), l array<int>, mp map<string, struct<a: int>>")
    table.sql(f"call ice.system.add_files(table => '{{n}}', source_table => '`parquet`.`{tmp_path}/plain`')")

    check(table, "id < 5", "m = 7.00")
