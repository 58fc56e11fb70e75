"""Iceberg tables over the data sets' files: a catalog in one SQLite file, all the rest on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from benchmarks.workloads import Scale, Workload

__all__ = ["CATALOG", "Truth", "make_table", "truth"]

CATALOG = "lakeflow"
"""The name under which `lakeflow.connect` opens a catalog that is given by its properties."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a workload must give, read from the local files."""

    rows: int
    checksum: int


def truth(workload: Workload, scale: Scale, folder: Path) -> Truth:
    """Read a workload's answer with pyarrow, without any server."""
    where = workload.where(scale)
    names = {workload.checksum} | ({where[0]} if where else set())
    rows = pq.read_table(folder, columns=sorted(names))
    if where is not None:
        column, first, end = where
        rows = rows.filter((pc.field(column) >= first) & (pc.field(column) < end))
    return Truth(rows.num_rows, pc.sum(rows[workload.checksum]).as_py())


def make_table(properties: dict[str, str], name: str, bucket: str, folder: Path) -> None:
    """Register files that are at `s3://<bucket>/<folder's name>/` already, and here for their footers.

    The manifest has what a writer of Iceberg records: sizes, counts and bounds of every column, and
    where row groups begin.
    """
    from pyiceberg.catalog import load_catalog
    from pyiceberg.io.pyarrow import pyarrow_to_schema

    catalog = load_catalog(CATALOG, **properties)
    catalog.create_namespace_if_not_exists("bench")
    files = sorted(folder.glob("*.parquet"))
    schema = pyarrow_to_schema(_plain(pq.read_schema(files[0])))
    table = catalog.create_table(
        name, schema, location=f"s3://{bucket}/tables/{name}", properties={"format-version": "2"}
    )
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        for path in files:
            append.append_data_file(_data_file(table, path, f"s3://{bucket}/{folder.name}/{path.name}"))


def _plain(schema: pa.Schema) -> pa.Schema:
    """Text is text to Iceberg, however Arrow lays it out."""
    return pa.schema([field.with_type(pa.string()) if field.type == pa.string_view() else field for field in schema])


def _data_file(table: Table, path: Path, uri: str) -> DataFile:
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    schema = table.schema()
    statistics: Any = data_file_statistics_from_parquet_metadata(
        parquet_metadata=pq.read_metadata(path),
        stats_columns=compute_statistics_plan(schema, table.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=uri,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        file_size_in_bytes=path.stat().st_size,
        sort_order_id=None,
        spec_id=table.spec().spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
