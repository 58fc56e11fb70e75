"""A lazy read of one pinned snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.dataframe import DataFrame
from lakeflow_io.budget import parse_bytes
from lakeflow_io.errors import InputError, NotFoundError
from lakeflow_io.folder import Folder
from lakeflow_io.iceberg.plan import plan_pieces
from lakeflow_io.iceberg.shards import Shard, balance, group_by_partition
from lakeflow_io.reader import output_schema, read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyiceberg.table import Table as IcebergTable

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["Scan", "read_shard", "wanted_columns"]

# Large enough that a task's overhead (2-3 ms on Dask) is nothing, small enough to retry.
_SHARD_BYTES = 256 * 1024 * 1024


class Scan:
    """What to read; nothing is read until it is asked for. Made by `Table.scan` and by `scan_parquet`."""

    def __init__(self, table: IcebergTable | Folder, spec: ReadSpec) -> None:
        self._table = table
        self._spec = spec

    def __repr__(self) -> str:
        where = f" where {self._spec.filter}" if self._spec.filter is not None else ""
        return f"Scan({self._spec.source}: {', '.join(self.schema.names)}{where})"

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
    def pieces(self) -> list[Piece]:
        """The data files left after pruning by partition and by column bounds, planned once."""
        if isinstance(self._table, Folder):
            return self._table.pieces(self._spec)
        return plan_pieces(self._table, self._spec)

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
        budget = None if memory is None else parse_bytes(memory)
        return read_batches(self._spec, self.pieces, memory=budget)

    def to_reader(self, *, memory: int | str | None = None) -> pa.RecordBatchReader:
        """The same as a `pyarrow.RecordBatchReader`."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches(memory=memory))

    def shards(self, n: int | None = None, *, target_size: int | str | None = None, by: str = "bytes") -> list[Shard]:
        """What tasks read: parts of the scan, the same for the same snapshot.

        Args:
            n: How many at most; fewer where there are fewer row groups.
            target_size: Or their size in the store, such as `"256 MiB"`, which is the default.
            by: `"bytes"` balances sizes; `"partition"` keeps each partition whole, one shard each.

        Raises:
            InputError: the arguments contradict each other.
        """
        if by not in ("bytes", "partition"):
            raise InputError(f"Shards by {by!r} are unknown.", 'use by="bytes" or by="partition".')
        if (by == "partition") + (n is not None) + (target_size is not None) > 1:
            raise InputError("Shards are cut one way at a time.", 'give one of n=, target_size= and by="partition".')
        if by == "partition":
            return group_by_partition(self._spec, self.pieces)
        if n is not None and (not isinstance(n, int) or n < 1):
            raise InputError(f"{n!r} shards can't be made.", "give a positive whole number.")
        pieces = self.pieces
        total = sum(piece.bytes for piece in pieces)
        if n is None:
            size = parse_bytes(target_size) if target_size is not None else _SHARD_BYTES
            n = max(1, -(-total // size))
        if isinstance(self._table, Folder):
            pieces = self._table.with_splits(pieces, total // n)
        return balance(self._spec, pieces, n)


def wanted_columns(columns: Sequence[str] | str | None, known: list[str], name: str) -> list[str]:
    """What `columns=` means, each once.

    Args:
        columns: As the caller gave them; None for all.
        known: The columns there are.
        name: What is scanned, for messages.

    Raises:
        NotFoundError: one isn't there.
        InputError: there is none.
    """
    if columns is None:
        return known
    columns = [columns] if isinstance(columns, str) else columns
    if not isinstance(columns, Iterable):
        raise InputError(f"columns={columns!r} names no columns.", "give a list of names.")
    columns = list(columns)
    if not columns:
        raise InputError(f"A scan of {name} without columns has nothing to read.", "leave columns= out.")
    for column in columns:
        if column not in known:
            raise NotFoundError.among("column", column, name, known)
    return list(dict.fromkeys(columns))


def read_shard(shard: Shard, memory: int | None = None) -> pa.Table:
    """All rows of one shard.

    Args:
        shard: From `Scan.shards`, also in another process.
        memory: Bytes in flight besides the result.
    """
    batches: Any = read_batches(shard.spec, shard.pieces, memory=memory)
    return pa.Table.from_batches(batches, output_schema(shard.spec))
