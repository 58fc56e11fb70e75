"""A run as one HTML page that shows what happened: see `page`."""

from __future__ import annotations

from lakeflow.runs.report.page import render_report
from lakeflow.runs.report.record import RunRecord, read_record
from lakeflow.runs.report.write import write_report

__all__ = ["RunRecord", "read_record", "render_report", "write_report"]
