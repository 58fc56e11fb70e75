"""Arrow -> data files that no snapshot names yet: split by partition, sorted, encoded while they are sent.

The worker's half of a commit. What it returns is JSON, so that a marker in the store can carry it
from a worker that is gone to a driver that wasn't born yet.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_schema, data_file_statistics
from lakeflow_io.iceberg.partition import split_by_partition
from lakeflow_io.iceberg.static import refuse_read_only
from lakeflow_io.iceberg.vended import table_store
from lakeflow_io.parquet.encode import encode
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.sorting import SortOrder

__all__ = ["Stager"]

# Arrow bytes that become one file at most; encoded, a fifth to a half of it. Near the 512 MB that
# write.target-file-size-bytes means by default.
_FILE_ARROW_BYTES = 512 * 1024 * 1024


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
        """
        refuse_read_only(table, name)
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
        rows = conform(data, arrow_schema(self.schema, field_ids=True), self.table)
        staged: list[dict[str, Any]] = []
        try:
            for values, part in split_by_partition(rows, self.schema, self.spec, self.order):
                for chunk in _chunks(part):
                    path = join(self.folder, f"{name}-{uuid4()}.parquet")
                    staged.append(self._put(path, values, chunk))
        except BaseException:
            self.discard(staged)
            raise
        return staged

    def discard(self, staged: Sequence[dict[str, Any]]) -> None:
        """Delete files that no snapshot will name."""
        transport = open_transport(self.store)
        for file in staged:
            transport.delete(file["path"])

    def _put(self, path: str, partition: list[str | None], data: pa.Table) -> dict[str, Any]:
        with open_transport(self.store).open_output(path) as file:
            metadata = encode(data, self.properties, file)
        statistics = data_file_statistics(metadata, self.schema, self.properties)
        bounds = {
            name: {str(k): base64.b64encode(v).decode() for k, v in statistics[name].items()}
            for name in ("lower_bounds", "upper_bounds")
        }
        counts = {
            name: {str(k): v for k, v in statistics[name].items()}
            for name in ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
        }
        return {
            "path": path,
            "rows": data.num_rows,
            "bytes": file.tell(),
            "partition": partition,
            "spec_id": self.spec.spec_id,
            "sort_order_id": self.order.order_id,
            "split_offsets": statistics["split_offsets"],
            **counts,
            **bounds,
        }


def _chunks(data: pa.Table) -> Iterator[pa.Table]:
    rows = max(1, int(data.num_rows * _FILE_ARROW_BYTES / max(1, data.nbytes)))
    for start in range(0, data.num_rows, rows):
        yield data.slice(start, rows)
