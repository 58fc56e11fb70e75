"""An Arrow table <-> Polars, pandas, DuckDB; without a copy where memory layouts allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.errors import ConfigError, FunctionError, InputError, LakeflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ACCEPTED = (
    "use a pyarrow Table, a Polars or pandas DataFrame, a DuckDB relation, batches, a dict of columns or a list of rows"
)

__all__ = ["FRAME_KINDS", "duckdb_relation", "from_arrow", "import_polars", "to_arrow"]


def import_polars() -> Any:
    """The package.

    Raises:
        ConfigError: it isn't installed.
    """
    try:
        import polars as pl
    except ImportError:
        raise ConfigError.missing_extra("Polars", "polars", "A Polars hand-off") from None
    return pl


def _to_polars(data: pa.Table | pa.RecordBatch) -> Any:
    return import_polars().from_arrow(data)


def _to_polars_lazy(data: pa.Table) -> Any:
    return _to_polars(data).lazy()


def _to_pandas(data: pa.Table) -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise ConfigError.missing_extra("pandas", "pandas", "A pandas hand-off") from None
    # Arrow-backed columns: nulls stay nulls, integers stay integers, and most columns stay uncopied.
    return data.to_pandas(types_mapper=pd.ArrowDtype)


def duckdb_relation(data: Any, connection: Any = None) -> Any:
    """A DuckDB relation over a table or a dataset.

    Args:
        data: What DuckDB's `from_arrow` takes; read as often as the relation is queried.
        connection: Where the relation lives; default one of its own, because DuckDB's default one
            is shared by all threads of the process.

    Raises:
        ConfigError: DuckDB isn't installed.
        InputError: `connection` is none of DuckDB's, or closed.
    """
    try:
        import duckdb
    except ImportError:
        raise ConfigError.missing_extra("DuckDB", "duckdb", "A DuckDB hand-off") from None
    if connection is None:
        connection = duckdb.connect()
    if not isinstance(connection, duckdb.DuckDBPyConnection):
        raise InputError(f"{connection!r} is no DuckDB connection.", "pass what duckdb.connect() returns, or nothing.")
    try:
        return connection.from_arrow(data)
    except duckdb.ConnectionException as error:
        raise InputError(f"The DuckDB connection can't be used: {error}", "pass an open one, or nothing.") from error


def _unchanged(data: pa.Table) -> pa.Table:
    return data


def _to_reader(data: pa.Table) -> pa.RecordBatchReader:
    return data.to_reader()


def _to_batches(data: pa.Table) -> Iterator[pa.RecordBatch]:
    # One at least, which tells the columns.
    return iter(data.to_batches() or [pa.RecordBatch.from_pylist([], data.schema)])


_FROM_ARROW: dict[str, Callable[[Any], Any]] = {
    "arrow": _unchanged,
    "batches": _to_batches,
    "duckdb": duckdb_relation,
    "pandas": _to_pandas,
    "polars": _to_polars,
    "polars-lazy": _to_polars_lazy,
    "reader": _to_reader,
}
FRAME_KINDS = tuple(sorted(_FROM_ARROW))


def from_arrow(data: pa.Table | pa.RecordBatch, kind: str) -> Any:
    """Hand rows over as `kind`.

    Args:
        data: Any table or batch.
        kind: One of `FRAME_KINDS`. `pandas` has Arrow-backed columns; `duckdb` is a relation.

    Raises:
        ConfigError: the package isn't installed.
    """
    return _FROM_ARROW[kind](data)


def to_arrow(value: Any, what: str, error: type[LakeflowError] = FunctionError) -> pa.Table:
    """Take a table of any kind back: a frame, an Arrow stream, batches, a dict of columns, rows as dicts.

    Args:
        value: What a function returned, or what a caller handed over.
        what: What it is, for the message.
        error: What to raise.

    Raises:
        FunctionError: or `error`: it is nothing that holds columns, or not one table.
    """
    try:
        table = _table(value)
    except (pa.ArrowException, OverflowError, ValueError, TypeError) as cause:
        raise error(f"{what} does not make one table: {_first_line(cause)}", _ACCEPTED) from cause
    if table is None:
        got = "nothing (None)" if value is None else f"a {type(value).__name__}"
        raise error(f"{what} is {got}, which holds no columns.", _ACCEPTED)
    return table


def _table(value: Any) -> pa.Table | None:
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
        return _from_parts([part for part in value if part is not None])
    return None


def _from_parts(parts: list[Any]) -> pa.Table | None:
    """Tables of one schema, or rows as dicts."""
    if parts and all(isinstance(part, dict) for part in parts):
        names = dict.fromkeys(name for row in parts for name in row)  # a row may lack what another has
        return pa.table({name: [row.get(name) for row in parts] for name in names})
    if not parts or any(isinstance(part, str | bytes | list | tuple) for part in parts):
        return None
    tables = [_table(part) for part in parts]
    return None if any(table is None for table in tables) else pa.concat_tables(tables)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
