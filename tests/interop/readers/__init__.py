"""The engines that read the suite's tables, and what comes of it, held against the truth."""

from __future__ import annotations

from readers import daft, duckdb, lakeflow, polars, pyiceberg, spark
from readers.outcome import Outcome, Read, Refused, outcome
from readers.rows import Rows, arrow_rows, spark_rows

__all__ = ["READERS", "Outcome", "Read", "Refused", "Rows", "arrow_rows", "outcome", "spark_rows"]

# In the order of the columns of docs/iceberg.md.
READERS = {
    "lakeflow": lakeflow.rows,
    "pyiceberg": pyiceberg.rows,
    "Polars": polars.rows,
    "DuckDB": duckdb.rows,
    "Daft": daft.rows,
    "Spark": spark.rows,
}
