"""Arrow -> data files that no snapshot names yet: split by partition, sorted, encoded, put.

The worker's half of a commit. What it returns is JSON, so that a marker in the store can carry it
from a worker that is gone to a driver that wasn't born yet.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_schema, data_file_statistics
from lakeflow_io.parquet.encode import encode
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.sorting import SortOrder
    from pyiceberg.types import PrimitiveType

__all__ = ["Stager"]

# Arrow bytes that become one file at most; encoded, a fifth to a half of it. A bound on the memory
# that writing takes, and near the 512 MB that write.target-file-size-bytes means by default.
_FILE_ARROW_BYTES = 512 * 1024 * 1024
_PARTITION_COLUMN = "__lakeflow_partition_{}"


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
        """What workers need to write into `table` as it is now."""
        return cls(
            table=name,
            schema=table.schema(),
            spec=table.spec(),
            order=table.sort_order(),
            folder=table.properties.get("write.data.path", join(table.location(), "data")),
            properties=dict(table.properties),
            store=store_properties(table.io.properties),
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
            for values, part in self._partitions(rows):
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
        encoded, metadata = encode(data, self.properties)
        open_transport(self.store).put(path, encoded)
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
            "bytes": len(encoded),
            "partition": partition,
            "spec_id": self.spec.spec_id,
            "sort_order_id": self.order.order_id,
            "split_offsets": statistics["split_offsets"],
            **counts,
            **bounds,
        }

    def _partitions(self, data: pa.Table) -> Iterator[tuple[list[str | None], pa.Table]]:
        """Sort once by partition and order, then cut where the partition changes."""
        if data.num_rows == 0:
            return
        keyed, names = self._with_partition_columns(data)
        sort_keys = [(name, "ascending", "at_start") for name in names] + self._sort_keys()
        if sort_keys:
            keyed = keyed.sort_by(sort_keys)
        if not names:
            yield [], keyed
            return
        groups = keyed.select(names).group_by(names, use_threads=False).aggregate([([], "count_all")])
        position = 0
        for group in groups.to_pylist():
            values = [self._encode(number, group[name]) for number, name in enumerate(names)]
            yield values, keyed.slice(position, group["count_all"]).select(data.column_names)
            position += group["count_all"]

    def _with_partition_columns(self, data: pa.Table) -> tuple[pa.Table, list[str]]:
        names = []
        for number, part in enumerate(self.spec.fields):
            source = self.schema.find_field(part.source_id)
            column = data.column(self.schema.find_column_name(part.source_id))
            transformed = part.transform.pyarrow_transform(source.field_type)(column)
            names.append(_PARTITION_COLUMN.format(number))
            data = data.append_column(names[-1], transformed)
        return data, names

    def _sort_keys(self) -> list[tuple[str, str, str]]:
        # pyarrow sorts by columns. A table of another writer may be sorted by a transform: by its
        # source column it is in that order too, since order-preserving transforms are monotone.
        from pyiceberg.table.sorting import NullOrder, SortDirection

        return [
            (
                str(self.schema.find_column_name(part.source_id)),
                "descending" if part.direction == SortDirection.DESC else "ascending",
                "at_start" if part.null_order == NullOrder.NULLS_FIRST else "at_end",
            )
            for part in self.order.fields
        ]

    def _encode(self, number: int, value: Any) -> str | None:
        """A partition value in Iceberg's single-value binary form, base64: exact for every type."""
        from pyiceberg.conversions import to_bytes
        from pyiceberg.partitioning import partition_record_value

        if value is None:
            return None
        part = self.spec.fields[number]
        kind = part.transform.result_type(self.schema.find_field(part.source_id).field_type)
        plain = partition_record_value(part, value, self.schema) if str(part.transform) == "identity" else value
        return base64.b64encode(to_bytes(cast("PrimitiveType", kind), plain)).decode()


def _chunks(data: pa.Table) -> Iterator[pa.Table]:
    rows = max(1, int(data.num_rows * _FILE_ARROW_BYTES / max(1, data.nbytes)))
    for start in range(0, data.num_rows, rows):
        yield data.slice(start, rows)
