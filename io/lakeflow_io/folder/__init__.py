"""Folders of plain Parquet files -> what the reader takes: paths, partitions, types, one schema."""

from __future__ import annotations

from lakeflow_io.folder.source import Folder, open_folder

__all__ = ["Folder", "open_folder"]
