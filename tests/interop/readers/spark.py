"""Spark, from a table's metadata file alone: how it reads what lakeflow wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from readers.rows import spark_rows

if TYPE_CHECKING:
    from readers.outcome import Read
    from readers.rows import Rows


def rows(metadata: str, read: Read) -> Rows:
    """The frame's rows."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    options = {} if read.snapshot is None else {"snapshot-id": str(read.snapshot)}
    frame = session.read.format("iceberg").options(**options).load(metadata)
    return spark_rows(frame if read.where is None else frame.where(read.where))


def java_table(session: Any, metadata: str) -> Any:
    """A table for Iceberg's own Java classes, from its metadata file."""
    iceberg = session._jvm.org.apache.iceberg
    files = iceberg.hadoop.HadoopFileIO(session._jsc.hadoopConfiguration())
    return iceberg.BaseTable(iceberg.StaticTableOperations(metadata, files), "a table of lakeflow")


def metadata_table(session: Any, metadata: str, name: str) -> Any:
    """Spark's frame of one of a table's metadata tables, such as `files`."""
    return session.read.format("iceberg").load(f"{metadata}#{name}")
