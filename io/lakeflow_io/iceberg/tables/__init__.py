"""What a table's metadata says, as Arrow tables: files, manifests, partitions, refs, history."""

from __future__ import annotations

from lakeflow_io.iceberg.tables.files import FILES, files_table, with_statistics
from lakeflow_io.iceberg.tables.history import history_table, refs_table
from lakeflow_io.iceberg.tables.manifests import manifests_table
from lakeflow_io.iceberg.tables.partitions import PARTITIONS, partitions_table

__all__ = [
    "FILES",
    "PARTITIONS",
    "files_table",
    "history_table",
    "manifests_table",
    "partitions_table",
    "refs_table",
    "with_statistics",
]
