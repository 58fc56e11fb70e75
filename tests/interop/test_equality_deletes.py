"""Equality deletes, as Flink writes them: the files by pyarrow, the commit by Iceberg's own Java classes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

_numbers = iter(range(10**6))


@pytest.fixture
def delete_equal(spark, tmp_path):
    """Commit an equality delete file: its columns with their field ids, and the partition it is for."""

    def commit(table, columns: dict[str, tuple[int, pa.Array]], partition: str | None = None, spec: int | None = None):
        fields = [
            pa.field(name, values.type, metadata={"PARQUET:field_id": str(number)})
            for name, (number, values) in columns.items()
        ]
        path = tmp_path / f"delete-{next(_numbers)}.parquet"
        rows = pa.table([values for _, values in columns.values()], schema=pa.schema(fields))
        pq.write_table(rows, path)
        java, iceberg = table.java, spark._jvm.org.apache.iceberg
        ids = spark._sc._gateway.new_array(spark._jvm.int, len(columns))
        for place, (number, _) in enumerate(columns.values()):
            ids[place] = number
        builder = iceberg.FileMetadata.deleteFileBuilder(java.spec() if spec is None else java.specs().get(spec))
        builder = builder.ofEqualityDeletes(ids).withPath(str(path)).withFormat("parquet")
        builder = builder.withFileSizeInBytes(Path(path).stat().st_size).withRecordCount(rows.num_rows)
        builder = builder if partition is None else builder.withPartitionPath(partition)
        java.newRowDelta().addDeletes(builder.build()).commit()

    return commit


def ints(*values: int | None) -> pa.Array:
    """A delete file's column."""
    return pa.array(values, pa.int32())


def texts(*values: str | None) -> pa.Array:
    """A delete file's column."""
    return pa.array(values, pa.string())


def test_equality_deletes(make, check, delete_equal):
    """Rows with a key that the delete file lists are gone from older files; newer ones keep theirs."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a'), (2, 'b'), (3, 'c')")
    delete_equal(table, {"id": (1, ints(2, 9))})
    table.sql("insert into {t} values (2, 'again')")

    check(table, "id = 2", "s = 'b'", "s = 'again'", snapshots=table.snapshots)


def test_equality_deletes_of_several_columns(make, check, delete_equal):
    """All columns have to be equal; a null is equal to a null."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a'), (1, 'b'), (null, 'a'), (1, null), (null, null)")
    delete_equal(table, {"id": (1, ints(1, None, 1)), "s": (2, texts("b", "a", None))})

    check(table, "id = 1", "s is null")


def test_equality_deletes_of_several_kinds(make, check, delete_equal):
    """Delete files with other columns in one table: each deletes by its own."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a'), (2, 'b'), (3, 'c'), (4, null), (5, 'e')")
    delete_equal(table, {"id": (1, ints(1))})
    delete_equal(table, {"s": (2, texts("c", None))})

    check(table, "id > 2")


def test_equality_deletes_of_a_partition(make, check, delete_equal):
    """A delete file of one partition takes nothing from another."""
    table = make("id int, s string", "s")
    table.sql("insert into {t} values (1, 'a'), (1, 'b'), (2, 'a')")
    delete_equal(table, {"id": (1, ints(1))}, "s=a")

    check(table, "s = 'a'", "id = 1")


def test_equality_deletes_of_all_partitions(make, check, delete_equal):
    """A delete file of an unpartitioned spec is for every partition of every spec."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'x')", "alter table {t} add partition field s")
    table.sql("insert into {t} values (1, 'a'), (1, 'b'), (2, 'a'), (3, 'b')")
    delete_equal(table, {"id": (1, ints(1))}, spec=0)

    check(table, "s = 'a'")


def test_equality_deletes_by_columns_that_changed(make, check, delete_equal):
    """Keys are matched by field id after a rename, and after the key was promoted."""
    table = make("id int, s string")
    table.sql("insert into {t} values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")
    delete_equal(table, {"id": (1, ints(1))})
    table.sql("alter table {t} rename column id to key", "alter table {t} alter column key type bigint")
    delete_equal(table, {"key": (1, pa.array([2], pa.int64()))})

    check(table, "s = 'c'", "key > 0 and s != 'c'")


def test_equality_and_position_deletes_together(make, check, delete_equal):
    """Both kinds in one snapshot's files."""
    table = make("id int, s string", properties={"write.delete.mode": "merge-on-read"})
    table.sql("insert into {t} select /*+ coalesce(1) */ int(id), concat('s', id) from range(10)")
    table.sql("delete from {t} where id = 4")
    delete_equal(table, {"id": (1, ints(5))})

    check(table, "id < 6", "s = 's5'")


def test_equality_deletes_by_floats(make, check, delete_equal):
    """NaN is equal to NaN, and zero is not equal to minus zero, where rows are deleted."""
    table = make("id int, x double")
    table.sql("insert into {t} values (1, double('NaN')), (2, 0.0), (3, double('-0.0')), (4, 1.5)")
    delete_equal(table, {"x": (2, pa.array([float("nan"), -0.0], pa.float64()))})

    check(table, "id > 2")
