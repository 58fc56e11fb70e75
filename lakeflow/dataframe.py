"""A result in memory: Arrow inside, any frame outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_engines.frames import from_arrow
from lakeflow_io.errors import ConfigError, FilterError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["DataFrame"]


class DataFrame:
    """Rows in Arrow memory. Anything that takes an Arrow stream takes it: `polars.DataFrame(df)`."""

    def __init__(self, data: pa.Table) -> None:
        self._data = data

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream of all rows: https://arrow.apache.org/docs/format/CStreamInterface.html."""
        return self._data.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return int(self._data.num_rows)

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self._data.schema)
        return f"DataFrame({len(self):,} rows; {columns})"

    @property
    def schema(self) -> pa.Schema:
        """Names and types."""
        return self._data.schema

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take."""
        return int(self._data.nbytes)

    def to_arrow(self) -> pa.Table:
        """The table itself, not a copy."""
        return self._data

    def to_polars(self) -> pl.DataFrame:
        """A Polars DataFrame; numbers are not copied.

        Raises:
            ConfigError: Polars isn't installed.
        """
        frame: pl.DataFrame = from_arrow(self._data, "polars")
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """A pandas DataFrame with Arrow-backed columns.

        Raises:
            ConfigError: pandas isn't installed.
        """
        frame: pd.DataFrame = from_arrow(self._data, "pandas")
        return frame

    def to_duckdb(self) -> duckdb.DuckDBPyRelation:
        """A DuckDB relation over the same memory, on a connection of its own.

        Raises:
            ConfigError: DuckDB isn't installed.
        """
        relation: duckdb.DuckDBPyRelation = from_arrow(self._data, "duckdb")
        return relation

    def to_pylist(self) -> list[dict[str, Any]]:
        """One dict a row."""
        rows: list[dict[str, Any]] = self._data.to_pylist()
        return rows

    def sql(self, query: str) -> DataFrame:
        """Run a DuckDB query over the rows, which it calls `df`.

        Raises:
            FilterError: the query doesn't parse or doesn't fit.
            ConfigError: DuckDB isn't installed.

        Example:
            >>> DataFrame(pa.table({"x": [1, 2]})).sql("select sum(x) as total from df").to_pylist()
            [{'total': Decimal('3')}]
        """
        try:
            import duckdb
        except ImportError:
            raise ConfigError.missing_extra("DuckDB", "duckdb", "DataFrame.sql") from None
        with duckdb.connect() as connection:
            connection.register("df", self._data)
            try:
                return DataFrame(connection.sql(query).to_arrow_table())
            except (duckdb.Error, AttributeError) as error:
                raise FilterError(f"The query failed: {error}", "the rows are called `df` in it.") from error
