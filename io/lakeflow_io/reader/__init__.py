"""Plan -> fetch -> decode -> Arrow, overlapped, in order, within a memory budget."""

from __future__ import annotations

from lakeflow_io.reader.pipeline import output_schema, read_batches
from lakeflow_io.reader.report import Counters, ScanReport

__all__ = ["Counters", "ScanReport", "output_schema", "read_batches"]
