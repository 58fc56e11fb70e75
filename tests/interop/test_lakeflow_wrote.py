"""lakeflow wrote it: Spark and the others read the same rows, whole and filtered."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from readers import Read, spark_rows
from readers.spark import java_table, metadata_table

import lakeflow as lf

ZONED = pa.timestamp("us", "UTC")
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (a column without a zone)
BEFORE = dt.datetime(1969, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001
LEAP = dt.datetime(2024, 2, 29, 12, 30)  # noqa: DTZ001


def test_written_types(written, check_written):
    """The ends of every type that Spark has, nulls, NaN and both zeroes."""
    data = pa.table(
        {
            "id": pa.array([1, 2, 3, 4], pa.int32()),
            "flag": pa.array([True, False, None, True]),
            "wide": pa.array([-(2**63), 2**63 - 1, None, 0], pa.int64()),
            "single": pa.array([float("nan"), -0.0, None, float("inf")], pa.float32()),
            "double": pa.array([float("nan"), -0.0, None, 1.5], pa.float64()),
            "s": pa.array(["", "ä€😀", None, "z" * 40]),
            "b": pa.array([b"", b"\x00\xff", None, b"\xff" * 40]),
            "f": pa.array([b"\x00\xff\x01\x02", b"abcd", None, b"zzzz"], pa.binary(4)),
            "day": pa.array([dt.date(1969, 12, 31), dt.date(9999, 12, 31), None, dt.date(1, 1, 2)]),
            "moment": pa.array([BEFORE, LEAP, None, EPOCH], ZONED),
            "plain": pa.array([BEFORE, LEAP, None, EPOCH], pa.timestamp("us")),
            "small": pa.array([Decimal("-9999999.99"), Decimal("0.01"), None, Decimal("1.00")], pa.decimal128(9, 2)),
            "middle": pa.array([Decimal("-99999999999999.9999"), Decimal("0.0001"), None, Decimal("1.0000")], pa.decimal128(18, 4)),
            "large": pa.array([Decimal(-9) * 10**37, Decimal(1), None, Decimal(9) * 10**37], pa.decimal128(38, 0)),
        }
    )  # fmt: skip

    check_written(
        written(data),
        data,
        "wide < 0",
        "double = 1.5",
        "s = 'ä€😀'",
        "s > 'zzzz'",
        "day < '1970-01-01'",
        "moment < '1970-01-01T00:00:00+00:00'",
        "plain >= '1970-01-01T00:00:00'",
        "small = 0.01",
        "large > 1",
        "flag is null",
    )


def test_written_times_of_day(written, check_written):
    """Times of day, which Spark has no type for."""
    data = pa.table({"id": [1, 2], "time": pa.array([dt.time(23, 59, 59, 999999), None], pa.time64("us"))})

    check_written(written(data), data)


def test_written_nested(written, check_written):
    """Structs, lists and maps, with nulls at each level."""
    data = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "st": pa.array([{"a": 1, "t": {"b": "x"}}, {"a": None, "t": None}, None],
                           pa.struct([("a", pa.int32()), ("t", pa.struct([("b", pa.string())]))])),
            "l": pa.array([[1, None], [], None], pa.list_(pa.int64())),
            "ls": pa.array([[{"a": 1.5}, None], [], None], pa.list_(pa.struct([("a", pa.float64())]))),
            "m": pa.array([[("k", [1]), ("l", None)], [], None], pa.map_(pa.string(), pa.list_(pa.int32()))),
        }
    )  # fmt: skip

    check_written(written(data), data, "st.a = 1", "st.t.b = 'x'", "id > 1")


def test_written_required_columns(written, check_written, spark):
    """A field that is not nullable is a required column for Spark, too."""
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("s", pa.string())])
    data = pa.table({"id": [1, 2], "s": ["a", None]}, schema=schema)
    table = written(data)

    seen = spark.read.format("iceberg").load(table.iceberg.metadata_location).schema
    java = java_table(spark, table.iceberg.metadata_location).schema()
    assert [java.findField("id").isRequired(), java.findField("s").isRequired()] == [True, False]
    assert seen.simpleString() == "struct<id:bigint,s:string>"
    check_written(table, data, "s is null")


def test_written_long_texts(written, check_written):
    """Bounds are cut short so that no row is lost: upper ones are raised, or left out where none is higher."""
    texts = ["a" * 16, "a" * 17, "a" * 15 + "ä" * 9, "😀" * 20, "\U0010ffff" * 20, "\x7f" * 20, "y", "z"]
    data = pa.table({"id": range(len(texts)), "s": texts, "b": [b"\xff" * 20, b"\xff" * 16, *[b"\x00" * 20] * 6]})

    check_written(
        written(data, partition_by=["id"]),
        data,
        f"s > '{'a' * 16}'",
        f"s = '{chr(0x10FFFF) * 20}'",
        f"s > '{chr(0x10FFFF) * 16}'",
        f"s >= '{'😀' * 17}'",
        "s like 'aaaaaaaaaaaaaaaa%'",
    )


def test_written_sorted(written, check_written, spark):
    """Files of a table with a sort order are sorted, and Spark sees by what."""
    data = pa.table({"id": [2, 3, 1, None], "s": ["b", None, "a", "c"]})
    table = written(data, sort_by=["id desc"])

    assert (
        metadata_table(spark, table.iceberg.metadata_location, "files").collect()[0].sort_order_id
        == table.iceberg.sort_order().order_id
        > 0
    )
    assert java_table(spark, table.iceberg.metadata_location).sortOrder().toString().count("DESC") == 1
    check_written(table, data, "id > 1", "id is null")


@pytest.mark.parametrize("version", ["1", "2"])
def test_written_versions(written, check_written, version):
    """Format versions 1 and 2, in several snapshots."""
    data = pa.table({"id": [1, 2], "s": ["a", None]})
    table = written(data, partition_by=["s"], properties={"format-version": version})
    table.append(data)

    check_written(table, pa.concat_tables([data, data]), "s = 'a'", "id = 2")


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "uncompressed"])
def test_written_codecs(written, check_written, codec):
    """Each compression by the table's property."""
    data = pa.table({"id": range(1000), "s": [f"text {each % 7}" for each in range(1000)]})

    check_written(written(data, properties={"write.parquet.compression-codec": codec}), data, "id < 10", "s = 'text 3'")


def test_written_dictionaries_and_views(embedded, check_written):
    """Dictionaries, views and large texts are plain columns once they are written."""
    plain = pa.table({"id": [1, 2, 3], "s": ["a", None, "b"], "b": [b"x", None, b""]})
    table = embedded.create_table("kg.t", plain.schema)
    table.append(
        pa.table({"id": plain["id"], "s": plain["s"].dictionary_encode(), "b": plain["b"].cast(pa.large_binary())})
    )
    table.append(
        pa.table({"id": plain["id"], "s": plain["s"].cast(pa.string_view()), "b": plain["b"].cast(pa.binary_view())})
    )

    check_written(table, pa.concat_tables([plain, plain]), "s = 'a'")


def test_written_nothing(written, check_written):
    """An append of no rows."""
    data = pa.table({"id": pa.array([], pa.int64())})

    check_written(written(data), data)


def test_written_after_evolution(written, check_written):
    """Appends after columns were added, renamed, promoted and dropped, and the partitions changed."""
    table = written(pa.table({"id": pa.array([1, 2], pa.int32()), "s": ["a", "b"], "gone": [1, 2]}), partition_by=["s"])
    with table.iceberg.update_schema() as update:
        from pyiceberg.types import LongType

        update.update_column("id", LongType()).rename_column("s", "text").delete_column("gone").add_column(
            "n", LongType()
        )
    with table.iceberg.update_spec() as update:
        update.remove_field("s").add_field("id", "bucket[4]")
    table.refresh().append(pa.table({"id": pa.array([2**40, None], pa.int64()), "text": ["a", None], "n": [7, None]}))

    now = pa.table({"id": [1, 2, 2**40, None], "text": ["a", "b", "a", None], "n": [None, None, 7, None]})
    check_written(table, now, "text = 'a'", "id > 2", "n is null", "id = 1")


def test_written_by_foreach(written, check_written, embedded, spark):
    """A run's output is one snapshot that carries the run's id, in whatever order its shards came."""
    source = written(pa.table({"n": range(1000)}), partition_by=["bucket(4, n)"])
    into = embedded.create_table("kg.squares", pa.schema([("n", pa.int64()), ("squared", pa.int64())]), sort_by=["n"])

    def square(rows: pa.Table) -> pa.Table:
        return rows.append_column("squared", pa.array([each**2 for each in rows["n"].to_pylist()], pa.int64()))

    run = lf.foreach(source.scan().shards(n=4), square, into=into, run_id="squares-1", engine="threads")

    snapshots = metadata_table(spark, into.refresh().iceberg.metadata_location, "snapshots").collect()
    assert [(each.snapshot_id, each.summary["lakeflow.run-id"]) for each in snapshots] == [
        (run.snapshot_id, "squares-1")
    ]
    data = pa.table({"n": range(1000), "squared": [each**2 for each in range(1000)]})
    check_written(into, data, "n < 10", "squared = 81")


def test_spark_goes_on(written, check_reads, spark):
    """Spark appends to, updates and deletes from a table that lakeflow began; lakeflow reads what it left."""
    table = written(
        pa.table({"id": range(10), "s": [f"text {each % 3}" for each in range(10)]}), partition_by=["bucket(2, id)"]
    )
    name = f"ice.taken.t{id(table)}"
    spark.sql(
        f"call ice.system.register_table(table => '{name.removeprefix('ice.')}', metadata_file => '{table.iceberg.metadata_location}')"
    )
    for statement in (
        f"insert into {name} values (100, 'spark'), (null, null)",
        f"update {name} set s = 'changed' where id < 3",
        f"delete from {name} where s = 'text 2'",
    ):
        spark.sql(statement)

    loader = spark._jvm.org.apache.iceberg.spark.Spark3Util
    java = loader.loadIcebergTable(spark._jsparkSession, name)
    frames = {
        where: spark.sql(f"select * from {name} where {where or 'true'}") for where in ("", "id < 5", "s = 'changed'")
    }
    reads = [Read(spark_rows(frame), where or None) for where, frame in frames.items()]
    check_reads({java.operations().current().metadataFileLocation(): reads}, "Spark")
