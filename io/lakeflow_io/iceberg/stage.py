"""What writes data files that no snapshot names yet.

The worker's half of a commit. What it returns is JSON, so that a marker in the store can carry it
from a worker that is gone to a driver that wasn't born yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow_io.budget import default_budget
from lakeflow_io.errors import UnsupportedError
from lakeflow_io.iceberg.static import refuse_read_only
from lakeflow_io.iceberg.vended import table_store
from lakeflow_io.iceberg.write import Writer
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.sorting import SortOrder

__all__ = ["Stager"]

_NEWEST_VERSION = 2


@dataclass(frozen=True, slots=True)
class Stager:
    """Writes data files for one table; picklable."""

    table: str
    schema: Schema
    spec: PartitionSpec
    order: SortOrder
    folder: str
    """URI of the folder for data files."""
    properties: dict[str, str]
    store: dict[str, str] = field(repr=False)

    @classmethod
    def for_table(cls, table: Table, name: str) -> Stager:
        """What workers need to write into `table` as it is now.

        Raises:
            InputError: the table was opened without a catalog.
            UnsupportedError: its format version isn't written, or it is partitioned or sorted by a field of a struct.
        """
        refuse_read_only(table, name)
        version = table.metadata.format_version
        if version > _NEWEST_VERSION:
            raise UnsupportedError(
                f"{name} is of format version {version}, which this version does not write.",
                f"write it with another engine, or use a table of version 1 to {_NEWEST_VERSION}.",
            )
        _refuse_nested(table, name)
        return cls(
            table=name,
            schema=table.schema(),
            spec=table.spec(),
            order=table.sort_order(),
            folder=table.properties.get("write.data.path", join(table.location(), "data")),
            properties=dict(table.properties),
            store=table_store(table),
        )

    def write(self, name: str, data: pa.Table) -> list[dict[str, Any]]:
        """Write `data` into one file or more for each partition.

        Args:
            name: How the files' names begin: `<run>-<shard>-a<attempt>`.
            data: Any column order; cast to the table's types.

        Returns:
            One JSON-ready description a file; empty for no rows.

        Raises:
            SchemaError: the data doesn't fit the table.
            StoreError: the store refused; files put so far are deleted.
        """
        writer = self.writer(name, default_budget())
        try:
            writer.write(data)
            return writer.close()
        except BaseException:
            writer.discard()
            raise

    def writer(self, name: str, memory: int) -> Writer:
        """For rows that come one table after the other.

        Args:
            name: How the files' names begin.
            memory: Bytes that it may hold.
        """
        return Writer(self, name, memory)

    def discard(self, staged: Sequence[dict[str, Any]]) -> None:
        """Delete files that no snapshot will name."""
        transport = open_transport(self.store)
        for file in staged:
            transport.delete(file["path"])


def _refuse_nested(table: Table, name: str) -> None:
    columns = {field.field_id for field in table.schema().fields}
    parts: list[Any] = [*table.spec().fields, *table.sort_order().fields]
    for part in parts:
        if part.source_id not in columns and str(part.transform) != "void":
            column = table.schema().find_column_name(part.source_id) or f"column {part.source_id}"
            raise UnsupportedError(
                f"{name} is partitioned or sorted by {column!r}, which is no column but a field of one, or is gone.",
                "write it with the engine that made it, or change how it is partitioned or sorted.",
            )
