"""Parts of a source -> Dask collections, one partition each, read where Dask runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_engines.frames.convert import from_arrow
from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

__all__ = ["dask_bag", "dask_frame"]


def dask_frame(parts: Sequence[object], read: Callable[..., pa.Table], schema: pa.Schema) -> Any:
    """A `dask.dataframe.DataFrame` with Arrow-backed columns and unknown divisions.

    Args:
        parts: What a partition reads; may be pickled.
        read: `read(part, columns=[...])` gives its rows. Dask hands over the columns that are used.
        schema: Of all columns.

    Raises:
        ConfigError: Dask or pandas isn't installed.
    """
    try:
        from dask import dataframe
    except ImportError:
        raise ConfigError.missing_extra("Dask with pandas", "dask", "A Dask DataFrame") from None
    dd: Any = dataframe  # it has annotations here and there
    empty = from_arrow(schema.empty_table(), "pandas")
    if not parts:
        return dd.from_pandas(empty, npartitions=1)
    return dd.from_map(_frame, parts, read=read, meta=empty, label="lakeflow")


def dask_bag(parts: Sequence[object], read: Callable[..., pa.Table]) -> Any:
    """A `dask.bag.Bag` of rows as dicts.

    Args:
        parts: What a partition reads; may be pickled.
        read: `read(part)` gives its rows.

    Raises:
        ConfigError: Dask isn't installed.
    """
    try:
        from dask import bag
    except ImportError:
        raise ConfigError.missing_extra("Dask", "dask", "A Dask bag") from None
    db: Any = bag
    return db.from_sequence(parts, partition_size=1).map_partitions(_rows, read)


def _frame(part: object, read: Callable[..., pa.Table], columns: list[str] | None = None) -> Any:
    return from_arrow(read(part, columns=columns), "pandas")


def _rows(parts: Sequence[object], read: Callable[..., pa.Table]) -> list[dict[str, Any]]:
    return [row for part in parts for row in read(part).to_pylist()]
