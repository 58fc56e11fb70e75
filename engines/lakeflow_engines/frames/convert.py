"""An Arrow table <-> Polars, pandas, DuckDB; without a copy where memory layouts allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.errors import ConfigError, FunctionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FRAME_KINDS", "from_arrow", "to_arrow"]


def _to_polars(data: pa.Table) -> Any:
    try:
        import polars as pl
    except ImportError:
        raise ConfigError.missing_extra("Polars", "polars", "A Polars hand-off") from None
    return pl.from_arrow(data)


def _to_polars_lazy(data: pa.Table) -> Any:
    return _to_polars(data).lazy()


def _to_pandas(data: pa.Table) -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise ConfigError.missing_extra("pandas", "pandas", "A pandas hand-off") from None
    # Arrow-backed columns: nulls stay nulls, integers stay integers, and most columns stay uncopied.
    return data.to_pandas(types_mapper=pd.ArrowDtype)


def _to_duckdb(data: pa.Table) -> Any:
    try:
        import duckdb
    except ImportError:
        raise ConfigError.missing_extra("DuckDB", "duckdb", "A DuckDB hand-off") from None
    # A connection of its own: DuckDB's default one is shared by all threads of the process.
    return duckdb.connect().from_arrow(data)


def _unchanged(data: pa.Table) -> pa.Table:
    return data


def _to_reader(data: pa.Table) -> pa.RecordBatchReader:
    return data.to_reader()


_FROM_ARROW: dict[str, Callable[[pa.Table], Any]] = {
    "arrow": _unchanged,
    "duckdb": _to_duckdb,
    "pandas": _to_pandas,
    "polars": _to_polars,
    "polars-lazy": _to_polars_lazy,
    "reader": _to_reader,
}
FRAME_KINDS = tuple(sorted(_FROM_ARROW))


def from_arrow(data: pa.Table, kind: str) -> Any:
    """Hand a table over as `kind`.

    Args:
        data: Any table.
        kind: One of `FRAME_KINDS`. `pandas` has Arrow-backed columns; `duckdb` is a relation.

    Raises:
        ConfigError: the package isn't installed.
    """
    return _FROM_ARROW[kind](data)


def to_arrow(value: Any, what: str) -> pa.Table:
    """Take a result back: a frame of any kind, an Arrow stream, batches, or a dict of columns.

    Args:
        value: What a function returned.
        what: Whose result it is, for the message.

    Raises:
        FunctionError: it is nothing that holds columns.
    """
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    root = type(value).__module__.partition(".")[0]
    if root == "polars" and hasattr(value, "collect"):
        value = value.collect()
    if root == "pandas":
        # The index is no column: only pandas would know what to do with it.
        return pa.Table.from_pandas(value, preserve_index=False).replace_schema_metadata(None)
    if root in ("duckdb", "_duckdb"):
        return value.to_arrow_table()
    if hasattr(value, "__arrow_c_stream__"):
        return pa.table(value)
    if isinstance(value, dict):
        return pa.table(value)
    if hasattr(value, "__iter__") and not isinstance(value, str | bytes):
        return _from_batches(value, what)
    raise _unusable(value, what)


def _from_batches(value: Any, what: str) -> pa.Table:
    parts = [part for part in value if part is not None]
    if not parts or not all(
        hasattr(part, "__arrow_c_array__") or hasattr(part, "__arrow_c_stream__") for part in parts
    ):
        raise _unusable(parts[0] if parts else value, what)
    return pa.concat_tables([to_arrow(part, what) for part in parts])


def _unusable(value: Any, what: str) -> FunctionError:
    got = "nothing (None)" if value is None else f"a {type(value).__name__}"
    return FunctionError(
        f"{what} returned {got}, which holds no columns.",
        "return a pyarrow Table, a Polars or pandas DataFrame, a DuckDB relation, batches, or a dict of columns.",
    )
