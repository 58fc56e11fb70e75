"""A lazy read of one pinned snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa

from lakeflow.arguments import wanted_columns, whole_number
from lakeflow.cut import CutShards
from lakeflow.dataframe import DataFrame
from lakeflow.limited import first_rows
from lakeflow.origin import TableOrigin
from lakeflow_engines.frames import dask_bag, dask_frame, lazy_duckdb, lazy_polars
from lakeflow_io.budget import default_budget, parse_bytes
from lakeflow_io.errors import InputError
from lakeflow_io.iceberg.narrow import add_filter, select_columns
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.iceberg.shards import Shard, cut, group_by_partition
from lakeflow_io.reader import Counters, ScanReport, output_schema, read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dask.bag
    import dask.dataframe
    import duckdb
    import pandas as pd
    import polars as pl
    from pyiceberg.expressions import BooleanExpression

    from lakeflow.origin import Origin
    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["Scan", "read_shard"]

# Large enough that a task's overhead (2-3 ms on Dask) is nothing, small enough to retry.
_SHARD_BYTES = 256 * 1024 * 1024

By: TypeAlias = Literal["bytes", "rows", "partition"]
"""What makes shards equal."""


@dataclass(slots=True)
class _LastPass:
    """Shared by a scan and all that are narrowed from it."""

    counters: Counters | None = None


class Scan:
    """What to read; nothing is read until it is asked for. Made by `Table.scan` and by `scan_parquet`."""

    def __init__(
        self, origin: Origin, spec: ReadSpec, limit: int | None = None, filters: tuple[str, ...] | None = ()
    ) -> None:
        self._origin = origin
        self._spec = spec
        self._limit = limit
        self._filters = filters  # as they were written; None where one was no text
        self._last = _LastPass()

    def __repr__(self) -> str:
        where = f" where {self._spec.filter}" if self._spec.filter is not None else ""
        limit = f" limit {self._limit}" if self._limit is not None else ""
        return f"Scan({self._spec.source}: {', '.join(self.schema.names)}{where}{limit})"

    def __getstate__(self) -> dict[str, Any]:
        pieces = self.pieces
        return {**vars(self), "pieces": pieces, "_origin": self._origin.detached(pieces), "_last": _LastPass()}

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream of all rows, read as it is consumed."""
        return self.to_reader().__arrow_c_stream__(requested_schema)

    @property
    def snapshot_id(self) -> int | None:
        """The snapshot that is read; None for a table without any, and for plain files."""
        return self._spec.snapshot_id

    @cached_property
    def schema(self) -> pa.Schema:
        """What the batches look like."""
        return output_schema(self._spec)

    @cached_property
    def pieces(self) -> Sequence[Piece]:
        """The data files left after pruning by partition and by column bounds, planned once."""
        return self._origin.pieces(self._spec)

    def select(self, columns: Sequence[str] | str) -> Scan:
        """The same scan with fewer columns.

        Args:
            columns: Names in the wanted order, out of the scan's own.

        Raises:
            NotFoundError: the scan has no such column.
            InputError: there are none.
        """
        wanted = wanted_columns(columns, self.schema.names, self._spec.table)
        return self._like(select_columns(self._spec, wanted), self._limit, self._filters, same_plan=True)

    def where(self, predicate: str | BooleanExpression) -> Scan:
        """The same scan of fewer rows: those that it has, and for which the predicate is true.

        Args:
            predicate: As in `Table.scan`; it may name any column of the table.

        Raises:
            FilterError: it doesn't parse or doesn't fit.
            NotFoundError: the table has no such column.
            InputError: the scan has a limit already, which would have to be applied first.
        """
        if self._limit is not None:
            raise InputError(f"{self!r} can't be filtered any more.", "call where() first, then limit().")
        parsed = parse_filter(predicate, self._origin.schema, self._spec.table)
        written = (*self._filters, predicate) if isinstance(predicate, str) and self._filters is not None else None
        return self._like(add_filter(self._spec, parsed, self._origin.schema), None, written, same_plan=False)

    def limit(self, n: int) -> Scan:
        """The same scan, of `n` rows at most: whichever come first, reading little more than it must.

        Raises:
            InputError: `n` is negative or no whole number.
        """
        rows = whole_number(n, "rows", least=0)
        least = rows if self._limit is None else min(rows, self._limit)
        return self._like(self._spec, least, self._filters, same_plan=True)

    def _like(self, spec: ReadSpec, limit: int | None, filters: tuple[str, ...] | None, *, same_plan: bool) -> Scan:
        made = Scan(self._origin, spec, limit, filters)
        made._last = self._last
        if same_plan and "pieces" in vars(self):
            made.pieces = self.pieces
        return made

    def read(self, *, memory: int | str | None = None) -> DataFrame:
        """All rows, in memory.

        Args:
            memory: Bytes in flight besides the result, as in `batches`.

        Raises:
            DataError: a file can't be read; names it.
            StoreError: the store failed.
        """
        return DataFrame(pa.Table.from_batches(self.batches(memory=memory), self.schema))

    def batches(self, *, memory: int | str | None = None) -> Iterator[pa.RecordBatch]:
        """Rows as record batches, read ahead within a budget.

        Args:
            memory: Bytes that may be fetched, undecoded and unconsumed at one time, such as
                `"512 MiB"`; default a quarter of what the machine or container allows, at most 1 GiB.

        Raises:
            DataError: a file can't be read; names it.
            StoreError: the store failed.
        """
        budget = default_budget() if memory is None else parse_bytes(memory)
        counters = self._last.counters = Counters(budget_bytes=budget)
        if self._limit is None:
            return read_batches(self._spec, self.pieces, memory=budget, counters=counters)
        read = partial(read_batches, self._spec, counters=counters)
        filtered = self._spec.filter is not None
        return first_rows(read, self.pieces, self._limit, budget, filtered=filtered)

    def report(self) -> ScanReport:
        """What the last pass did, or has done so far: requests, bytes, retries, waits.

        A pass over this scan, or over one that was narrowed from it, as a query on its LazyFrame or its
        DuckDB relation does; what Dask reads in its workers isn't told.

        Raises:
            InputError: nothing has been read yet.
        """
        if self._last.counters is None:
            raise InputError(f"{self!r} has not been read yet.", "call read() or batches() first.")
        return self._last.counters.report()

    def to_reader(self, *, memory: int | str | None = None) -> pa.RecordBatchReader:
        """The same as a `pyarrow.RecordBatchReader`.

        What goes wrong while it is read raises as it does in `batches`. To stop early, let go of the
        reader: pyarrow's own `close` does not tell whom it reads from.
        """
        return pa.RecordBatchReader.from_batches(self.schema, self.batches(memory=memory))

    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars DataFrame; numbers and the characters of texts are not copied.

        Raises:
            ConfigError: Polars isn't installed.
        """
        return self.read().to_polars()

    def to_polars_lazy(self) -> pl.LazyFrame:
        """A Polars LazyFrame: a query on it reads only the columns, row groups and rows that it needs.

        Files and row groups are left out by the part of the query's filter that compares columns
        with literals; Polars' own filter decides about each row. What goes wrong raises from
        `collect` as it does in `batches`.

        Raises:
            ConfigError: Polars isn't installed.
        """
        return lazy_polars(self)

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas DataFrame with Arrow-backed columns.

        Raises:
            ConfigError: pandas isn't installed.
        """
        return self.read().to_pandas()

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """A DuckDB relation: each query on it reads only the columns and row groups that it needs.

        What goes wrong while DuckDB reads raises as DuckDB's own exception, with our message in it.

        Args:
            connection: Where it lives, to be joined with other relations there; default one of its own.

        Raises:
            ConfigError: DuckDB isn't installed.
            InputError: `connection` is none of DuckDB's.
        """
        relation: duckdb.DuckDBPyRelation = lazy_duckdb(self, connection)
        return relation

    def to_dask(
        self, n: int | None = None, *, target_size: int | str | None = None, by: By = "bytes"
    ) -> dask.dataframe.DataFrame:
        """A Dask DataFrame with Arrow-backed columns, one partition a shard, and unknown divisions.

        Only the columns that are used are read.

        Args:
            n: Partitions at most, as in `shards`.
            target_size: Or their size in the store.
            by: As in `shards`.

        Raises:
            ConfigError: Dask or pandas isn't installed.
            InputError: the scan has a limit, or the arguments contradict each other.
        """
        return dask_frame(self.shards(n, target_size=target_size, by=by), read_shard, self.schema)

    def to_dask_bag(
        self, n: int | None = None, *, target_size: int | str | None = None, by: By = "bytes"
    ) -> dask.bag.Bag:
        """A Dask bag of rows as dicts, one partition a shard.

        Args:
            n: Partitions at most, as in `shards`.
            target_size: Or their size in the store.
            by: As in `shards`.

        Raises:
            ConfigError: Dask isn't installed.
            InputError: the scan has a limit, or the arguments contradict each other.
        """
        return dask_bag(self.shards(n, target_size=target_size, by=by), read_shard)

    def shards(self, n: int | None = None, *, target_size: int | str | None = None, by: By = "bytes") -> list[Shard]:
        """What tasks read: parts of the scan, the same for the same snapshot.

        Files are split between row groups, and no shard has more than the mean and the largest row group
        together. Manifests tell row groups, as all common writers have them do. Where nobody does, as of plain
        files, footers are read if shards come out more than a tenth uneven without.

        Args:
            n: How many at most; fewer where there are fewer row groups.
            target_size: Or their size in the store, such as `"256 MiB"`, which is the default.
            by: `"bytes"` balances sizes in the store. `"rows"` balances rows before deletes and filtering: those of
                a split file in proportion to bytes, and of plain files too, unless their footers were read.
                `"partition"` keeps each partition whole, one shard each.

        Raises:
            InputError: the arguments contradict each other, or the scan has a limit.
            DataError: a footer that had to be read can't be; names its file.
            StoreError: the store failed.
        """
        if self._limit is not None:
            raise InputError(f"{self!r} can't be cut into shards.", "leave limit() out, or read() it in one piece.")
        if by not in ("bytes", "rows", "partition"):
            raise InputError(f"Shards by {by!r} are unknown.", 'use by="bytes", by="rows" or by="partition".')
        if (by == "partition") + (n is not None) + (target_size is not None) > 1:
            raise InputError("Shards are cut one way at a time.", 'give one of n=, target_size= and by="partition".')
        pieces = list(self.pieces)  # those of a table are made when they are looked at
        if by == "partition":
            return CutShards(group_by_partition(self._spec, pieces), self._recipe(by=by))
        if n is not None:
            n, recipe = whole_number(n, "shards", least=1), self._recipe(n=int(n), by=by)
        else:
            size = parse_bytes(target_size) if target_size is not None else _SHARD_BYTES
            n, recipe = max(1, -(-sum(piece.bytes for piece in pieces) // size)), self._recipe(target_size=size, by=by)
        return CutShards(cut(self._spec, pieces, n, by), recipe)

    def _recipe(self, **cut: Any) -> dict[str, Any] | None:
        """How another process cuts the same shards, from names alone; None where that takes more."""
        if type(self._origin) is not TableOrigin or self._filters is None:
            return None
        return {
            "table": self._spec.table,
            "snapshot_id": self._spec.snapshot_id,
            "columns": list(self.schema.names),
            "where": list(self._filters),
            **cut,
        }


def read_shard(shard: Shard, memory: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of one shard.

    Args:
        shard: From `Scan.shards`, also in another process.
        memory: Bytes in flight besides the result.
        columns: Some of the shard's columns, in the wanted order; default all.
    """
    spec = shard.spec if columns is None else select_columns(shard.spec, columns)
    batches: Any = read_batches(spec, shard.pieces, memory=memory)
    return pa.Table.from_batches(batches, output_schema(spec))
