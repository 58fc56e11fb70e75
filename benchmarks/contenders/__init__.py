"""The contenders, a file each: how one library is best used for one read, into Arrow.

A file has `PACKAGE`, the distribution whose version is told; `SETTINGS`, one line on how it is used
and why; and `reader(task)`, which opens what isn't timed and returns what is: a function that gives a
`pyarrow.Table`, or an iterable of record batches if the task streams.
"""

from __future__ import annotations

__all__ = ["CONTENDERS", "PEERS_VENV"]

CONTENDERS = ("lakeflow", "polars", "daft", "duckdb", "pyiceberg", "pyarrow", "metaflow")

# They need older versions of pyarrow and of DuckDB than the project has; or much that it hasn't.
PEERS_VENV = ("daft", "duckdb", "ray")
