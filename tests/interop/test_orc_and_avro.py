"""Spark wrote tables whose data and delete files are ORC or Avro: each test once for either."""

from __future__ import annotations

import pytest
from readers import Read, Rows, lakeflow

MERGE_ON_READ = {f"write.{verb}.mode": "merge-on-read" for verb in ("delete", "update", "merge")}
TWENTY = "insert into {t} select /*+ coalesce(1) */ int(id), concat('s', id), int(id % 2) from range(20)"
PRIMITIVES = (
    "id int, wide bigint, flag boolean, single float, double double, small decimal(9, 2), middle decimal(18, 4),"
    " large decimal(38, 10), day date, moment timestamp, plain timestamp_ntz, s string, b binary"
)
VALUES = (
    "insert into {t} values"
    " (-2147483648, -9223372036854775808, true, float('NaN'), double('-0.0'), 9999999.99, 99999999999999.9999,"
    "  9999999999999999999999999999.9999999999, date '0001-01-02', timestamp '1678-01-02 00:00:00.000001',"
    "  timestamp_ntz '1678-01-02 00:00:00.000001', '', X''),"
    " (2147483647, 9223372036854775807, false, float('-Infinity'), double('4.9E-324'), -9999999.99,"
    "  -99999999999999.9999, -9999999999999999999999999999.9999999999, date '9999-12-31',"
    "  timestamp '1969-12-31 23:59:59.999999', timestamp_ntz '1969-12-31 23:59:59.000001', 'ä€😀', X'00FF80'),"
    " (3, 0, null, float('3.4028235E38'), double('1.7976931348623157E308'), 0.01, 0.0001, 0.0000000001,"
    "  date '1969-12-31', timestamp '2261-12-30 23:59:59.999999', timestamp_ntz '2261-12-30 23:59:59.999999',"
    "  concat('a', char(0), repeat('z', 40)), unhex(repeat('FF', 40))),"
    " (null, null, null, null, null, null, null, null, null, null, null, null, null)"
)


@pytest.fixture
def kind(request):
    """The format of a test's files."""
    return "orc" if "orc" in request.node.originalname else "avro"


@pytest.fixture
def made(make, kind):
    """Create a table of that format."""

    def create(columns, partitioned="", version=2, **properties):
        formats = {"write.format.default": kind, "write.delete.format.default": kind}
        return make(columns, partitioned, version, {**formats, **properties})

    return create


def is_all(table, kind):
    """Whether all data files are of a format."""
    return {row[0] for row in table.sql("select file_format from {t}.data_files")} == {kind.upper()}


def primitives(made, check, kind):
    """The ends of every primitive type that Spark has, and nulls."""
    table = made(PRIMITIVES)
    table.sql(VALUES)

    assert is_all(table, kind)
    check(
        table, "id > 0", "wide <= 0", "flag is null", "double < 1", "middle = 0.0001", "large < 0",
        "day < '1970-01-01'", "moment >= '1970-01-01T00:00:00+00:00'", "plain < '1970-01-01T00:00:00'",
        "s = 'ä€😀'", "s is null",
    )  # fmt: skip


def test_orc_primitives(made, check, kind):
    """ORC with values of every type; moments as far away as its readers in C++ hold them."""
    primitives(made, check, kind)


def test_avro_primitives(made, check, kind):
    """Avro with values of every type."""
    primitives(made, check, kind)


def far_moments(made, check, kind):
    """Moments that 64 bits of nanoseconds don't hold, as tables have them for "never" and "for ever"."""
    table = made("id int, moment timestamp, plain timestamp_ntz")
    table.sql(
        "insert into {t} values (1, timestamp '0001-01-02 00:00:00', timestamp_ntz '9999-12-31 23:59:59.999999'),"
        " (2, null, null), (3, timestamp '9999-12-30 00:00:00', timestamp_ntz '0001-01-02 00:00:00')"
    )

    assert is_all(table, kind)
    check(table, "id > 1")


def test_orc_with_far_moments(made, check, kind):
    """ORC with moments before 1678 and after 2261."""
    far_moments(made, check, kind)


def test_avro_with_far_moments(made, check, kind):
    """Avro with such moments."""
    far_moments(made, check, kind)


def uuid_and_fixed(made, check_reads, spark, kind):
    """Types that SQL has no words for."""
    table = made("id int")
    types = spark._jvm.org.apache.iceberg.types.Types
    update = table.java.updateSchema()
    update.addColumn("u", types.UUIDType.get()).addColumn("f", types.FixedType.ofLength(4)).commit()
    table.sql("insert into {t} values (1, 'f79c3e09-677c-4bbd-a479-512f87f60cc4', X'01020304'), (2, null, null)")

    assert is_all(table, kind)
    truth = Rows.of(
        ["id", "u", "f"],
        [[1, bytes.fromhex("f79c3e09677c4bbda479512f87f60cc4"), bytes.fromhex("01020304")], [2, None, None]],
    )
    check_reads({table.metadata: [Read(truth)]}, "Spark")


def test_orc_uuid_and_fixed(made, check_reads, spark, kind):
    """ORC has both as bytes, with an attribute that says which."""
    uuid_and_fixed(made, check_reads, spark, kind)


def test_avro_uuid_and_fixed(made, check_reads, spark, kind):
    """Avro has fixed bytes."""
    uuid_and_fixed(made, check_reads, spark, kind)


def nested(made):
    """Structs, lists and maps in each other, null and empty at each level; maps of texts and of others."""
    table = made(
        "id int, s struct<a: int, t: struct<b: string, c: decimal(10, 2)>>, ll array<array<string>>,"
        " ls array<struct<a: int, b: string>>, m map<string, int>, ms map<int, struct<a: int>>,"
        " deep array<map<string, struct<l: array<struct<x: timestamp, y: binary>>>>>"
    )
    inner = "named_struct('l', array(named_struct('x', timestamp '2024-02-29 12:00:00', 'y', X'FF'), null))"
    table.sql(
        "insert into {t} values (1, named_struct('a', 1, 't', named_struct('b', 'x', 'c', 1.5)),"
        " array(array('a'), array()), array(named_struct('a', 1, 'b', 'x')), map('a', 1, 'b', null),"
        f" map(1, named_struct('a', 1)), array(map('k', {inner}), null, map())),"
        " (2, named_struct('a', null, 't', null), array(), array(), map(), map(), array()),"
        " (3, null, null, null, null, null, null),"
        " (4, named_struct('a', 4, 't', named_struct('b', null, 'c', null)), array(null, array(null)),"
        " array(null, named_struct('a', null, 'b', null)), map('z', 1), map(7, null), array(map('k', null)))"
    )
    return table


def test_orc_nested(made, kind):
    """ORC with nested types, on which pyiceberg ends the process, and Polars with it."""
    table = nested(made)

    assert is_all(table, kind)
    for where in (None, "s.a = 1", "s.t.b = 'x'", "s.a is null", "id > 2"):
        read = table.read(where)
        assert not lakeflow.rows(table.metadata, read).difference(read.truth), where


def test_avro_nested(made, check, kind):
    """Avro with nested types."""
    table = nested(made)

    assert is_all(table, kind)
    check(table, "s.a = 1", "s.t.b = 'x'", "s.a is null", "id > 2")


def evolved(made, check, kind):
    """Columns and fields added, dropped, renamed, reordered and promoted between files, and a name that comes again."""
    table = made("id int, s string, n float, d decimal(9, 2), st struct<a: int, b: string>, l array<struct<x: int>>")
    table.sql(
        "insert into {t} values (1, 'a', float(0.5), 1.25, named_struct('a', 1, 'b', 'x'),"
        " array(named_struct('x', 1), null)), (2, null, null, null, null, null)",
        "alter table {t} rename column s to text",
        "alter table {t} alter column id type bigint",
        "alter table {t} alter column n type double",
        "alter table {t} alter column d type decimal(20, 2)",
        "alter table {t} drop column st.b",
        "alter table {t} add column st.b int",
        "alter table {t} alter column st.a type bigint",
        "alter table {t} add column l.element.y string",
        "alter table {t} add column front date first",
        "insert into {t} values (date '2024-02-29', 5000000000, 'b', 0.1, 123456789012345678.25,"
        " named_struct('a', 5000000000, 'b', 7), array(named_struct('x', 2, 'y', 'z')))",
    )

    assert is_all(table, kind)
    check(table, "front is null", "text = 'a'", "id = 5000000000", "st.b is null", "d = 1.25", "st.a = 1")


def test_orc_evolved(made, check, kind):
    """ORC files of each age of a table."""
    evolved(made, check, kind)


def test_avro_evolved(made, check, kind):
    """Avro files of each age of a table."""
    evolved(made, check, kind)


def merged_on_read(made, check, kind):
    """Deletes, updates and merges beside the files, with a data file of many stripes or blocks."""
    table = made("id int, s string, half int", **MERGE_ON_READ)
    table.sql(TWENTY.replace("range(20)", "range(30000)"))
    table.sql("delete from {t} where id % 7 = 0", "update {t} set s = 'new' where id % 1000 = 1")
    table.sql(
        "merge into {t} t using (select * from values (2, 'one'), (3, 'gone'), (99999, 'added') as v(id, s)) v"
        " on t.id = v.id when matched and v.s = 'gone' then delete when matched then update set s = v.s"
        " when not matched then insert (id, s, half) values (v.id, v.s, null)"
    )

    assert is_all(table, kind)
    assert {row[0] for row in table.sql("select file_format from {t}.delete_files")} == {kind.upper()}
    check(table, "id < 10", "s = 'new'", "half is null", "id > 29000")


def test_orc_merged_on_read(made, check, kind):
    """ORC data files with ORC delete files."""
    merged_on_read(made, check, kind)


def test_avro_merged_on_read(made, check, kind):
    """Avro data files with Avro delete files."""
    merged_on_read(made, check, kind)


def vectors(made, check, kind):
    """Deletion vectors of version 3."""
    table = made("id int, s string, half int", version=3, **MERGE_ON_READ)
    table.sql(TWENTY, "delete from {t} where id in (0, 7, 19)", "update {t} set s = 'new' where id = 8")

    assert is_all(table, kind)
    assert {row[0] for row in table.sql("select file_format from {t}.delete_files")} == {"PUFFIN"}
    check(table, "id < 10", "s = 'new'")


def test_orc_with_vectors(made, check, kind):
    """Deletion vectors of ORC files."""
    vectors(made, check, kind)


def test_avro_with_vectors(made, check, kind):
    """Deletion vectors of Avro files."""
    vectors(made, check, kind)


def equality(made, check, spark, tmp_path, kind):
    """Equality deletes by two columns, written by Iceberg's own writers, as Flink's are."""
    table = made("id int, s string")
    table.sql("insert into {t} values (1, 'a'), (2, 'b'), (3, null), (4, 'd')")
    java, iceberg = table.java, spark._jvm.org.apache.iceberg
    ids = spark._sc._gateway.new_array(spark._jvm.int, 2)
    ids[0], ids[1] = 1, 2
    factory = iceberg.data.GenericAppenderFactory(java.schema(), java.spec(), ids, java.schema(), None)
    output = iceberg.encryption.EncryptionUtil.plainAsEncryptedOutput(
        java.io().newOutputFile(f"{tmp_path}/delete.{kind}")
    )
    writer = factory.newEqDeleteWriter(output, iceberg.FileFormat.fromString(kind), None)
    for number, text in ((2, "b"), (3, None), (4, "other")):
        record = iceberg.data.GenericRecord.create(java.schema())
        record.setField("id", number)
        record.setField("s", text)
        writer.write(record)
    writer.close()
    java.newRowDelta().addDeletes(writer.toDeleteFile()).commit()
    table.sql("insert into {t} values (2, 'b')")

    assert {row[0] for row in table.sql("select file_format from {t}.delete_files")} == {kind.upper()}
    check(table, "id = 2", "s = 'd'")


def test_orc_equality_deletes(made, check, spark, tmp_path, kind):
    """An equality delete file in ORC."""
    equality(made, check, spark, tmp_path, kind)


def test_avro_equality_deletes(made, check, spark, tmp_path, kind):
    """An equality delete file in Avro."""
    equality(made, check, spark, tmp_path, kind)


def partitioned(made, check, kind):
    """Partitions of several kinds, pruned by their values."""
    table = made("id bigint, s string, moment timestamp", "bucket(4, id), s, days(moment)")
    table.sql(
        "insert into {t} select id, concat('s', id % 3), timestamp_seconds(id * 50000) from range(40)",
        "insert into {t} values (null, null, null)",
    )

    assert is_all(table, kind)
    check(table, "s = 's1'", "id = 7", "moment < '1970-01-03T00:00:00+00:00'", "s is null")


def test_orc_partitioned(made, check, kind):
    """ORC files in partitions."""
    partitioned(made, check, kind)


def test_avro_partitioned(made, check, kind):
    """Avro files in partitions."""
    partitioned(made, check, kind)


COLUMNS = "id bigint, s string, x double, m decimal(20, 3), l array<int>"
MANY = (
    "insert into {t} select /*+ coalesce(1) */ id, concat('text ', id % 50), id / 7, cast(id as decimal(20, 3)),"
    " if(id % 3 = 0, null, array(int(id), null)) from range(40000)"
)


@pytest.mark.parametrize("codec", ["zlib", "zstd", "snappy", "lz4", "none"])
def test_orc_codecs(made, check, kind, codec):
    """Each compression of ORC that its readers in C++ have, in files of several stripes."""
    table = made(COLUMNS, **{"write.orc.compression-codec": codec, "write.orc.stripe-size-bytes": "65536"})
    table.sql(MANY)

    assert is_all(table, kind)
    check(table, "id < 10", "s = 'text 7'", "x > 5700")


@pytest.mark.parametrize("codec", ["gzip", "zstd", "snappy", "uncompressed"])
def test_avro_codecs(made, check, kind, codec):
    """Each compression of Avro that Iceberg has, in files of many blocks."""
    table = made(COLUMNS, **{"write.avro.compression-codec": codec})
    table.sql(MANY)

    assert is_all(table, kind)
    check(table, "id < 10", "s = 'text 7'", "x > 5700")


def test_orc_taken_over(made, check, spark, tmp_path, kind):
    """ORC files that Spark wrote without Iceberg: names say which columns are which."""
    spark.sql(
        "select int(id) as id, cast(id as decimal(9, 2)) as m, array(int(id)) as l, map('k', int(id)) as p,"
        " named_struct('a', concat('s', id)) as st from range(10)"
    ).write.orc(f"{tmp_path}/plain")
    table = made("id int, m decimal(9, 2), l array<int>, p map<string, int>, st struct<a: string>")
    table.sql(
        f"call ice.system.add_files(table => '{{n}}', source_table => '`orc`.`{tmp_path}/plain`')",
        "alter table {t} rename column m to amount",
    )

    assert is_all(table, kind)
    check(table, "id < 5", "amount = 7.00", "st.a = 's3'")


def test_orc_avro_and_parquet(made, check):
    """All formats in one table, with deletes of one format for files of others."""
    table = made("id int, s string, half int", **MERGE_ON_READ)
    for number, each in enumerate(("orc", "avro", "parquet")):
        table.sql(
            f"alter table {{t}} set tblproperties ('write.format.default'='{each}')",
            TWENTY.replace("int(id)", f"int(id + {20 * number})"),
        )
    for each, value in (("avro", 1), ("orc", 22), ("parquet", 43)):  # a delete file of a data file replaces older ones
        table.sql(
            f"alter table {{t}} set tblproperties ('write.delete.format.default'='{each}')",
            f"delete from {{t}} where id = {value}",
        )

    assert len({row[0] for row in table.sql("select file_format from {t}.delete_files")}) == 3
    check(table, "id < 25", "s = 's5'", "half = 1", snapshots=table.snapshots)
