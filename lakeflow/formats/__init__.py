"""What a `Table` may be made of: an Iceberg table, or a folder of Parquet files."""

from __future__ import annotations

from lakeflow.formats.hive import HiveFormat
from lakeflow.formats.iceberg import IcebergFormat
from lakeflow.formats.seam import Counts, TableFormat

__all__ = ["Counts", "HiveFormat", "IcebergFormat", "TableFormat"]
