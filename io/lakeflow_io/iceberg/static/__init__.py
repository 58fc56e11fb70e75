"""Tables without a catalog: found by their folder or metadata file, checked, read-only."""

from __future__ import annotations

from lakeflow_io.iceberg.static.find import is_metadata_file
from lakeflow_io.iceberg.static.read_only import refuse_read_only
from lakeflow_io.iceberg.static.table import open_static

__all__ = ["is_metadata_file", "open_static", "refuse_read_only"]
