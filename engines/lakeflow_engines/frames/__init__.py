"""Hand-offs between Arrow and the frames people write functions over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_engines.frames.convert import FRAME_KINDS, duckdb_relation, from_arrow, to_arrow
from lakeflow_engines.frames.dask_parts import dask_bag, dask_frame
from lakeflow_engines.frames.polars_lazy import lazy_polars
from lakeflow_engines.frames.signature import parameter_kinds

if TYPE_CHECKING:
    from lakeflow_engines.frames.source import Source

__all__ = [
    "FRAME_KINDS",
    "dask_bag",
    "dask_frame",
    "duckdb_relation",
    "from_arrow",
    "lazy_duckdb",
    "lazy_polars",
    "parameter_kinds",
    "to_arrow",
]


def lazy_duckdb(source: Source, connection: Any = None) -> Any:
    """A DuckDB relation whose columns and filters reach the source each time it is queried.

    Raises:
        ConfigError: DuckDB isn't installed.
        InputError: `connection` is none of DuckDB's.
    """
    from lakeflow_engines.frames.arrow_dataset import SourceDataset  # brings in pyarrow.dataset

    return duckdb_relation(SourceDataset(source), connection)
