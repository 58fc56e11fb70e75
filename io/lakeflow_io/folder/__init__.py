"""Folders of plain Parquet files -> what the reader takes: paths, partitions, types, one schema."""

from __future__ import annotations

from lakeflow_io.folder.foreign import refuse_foreign
from lakeflow_io.folder.source import Folder, open_folder
from lakeflow_io.folder.tables import files_table, partitions_table

__all__ = ["Folder", "files_table", "open_folder", "partitions_table", "refuse_foreign"]
