"""Whole partitions that go because new rows lie in them, under whatever spec their files were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lakeflow_io.iceberg.partition import binary_value, partition_rows
from lakeflow_io.iceberg.plan import live_files
from lakeflow_io.iceberg.remove import Removal, find_rows
from lakeflow_io.iceberg.rewrite import full_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table import Table

    from lakeflow_io.iceberg.file_match import FileFacts

__all__ = ["find_partitions", "find_whole_table"]


def find_whole_table(table: Table, name: str, snapshot_id: int | None) -> tuple[Removal, Callable[[FileFacts], bool]]:
    """All rows, by metadata alone; any file that somebody adds holds more."""
    removal = Removal(table, name, snapshot_id, [], lambda rows: np.ones(rows.num_rows, bool))
    removal.whole.update(live_files(table, full_spec(table, name, snapshot_id)))
    return removal, lambda _: True


def find_partitions(
    table: Table,
    name: str,
    snapshot_id: int | None,
    spec: PartitionSpec,
    partitions: Container[tuple[str | None, ...]],
    memory: int,
) -> tuple[Removal, Callable[[FileFacts], bool]]:
    """The rows that lie in some partitions of a spec.

    Files of that spec go whole. Files of other specs, which the table was partitioned by before, are looked into.

    Args:
        table: As it is now.
        name: For messages.
        snapshot_id: Of which snapshot.
        spec: Which partitions are meant.
        partitions: Their values, as `partition_rows` gives them.
        memory: Bytes in flight.

    Returns:
        The rows, and whether a file that somebody adds may hold more such rows.
    """
    if not spec.fields:  # one partition, which holds every row there is
        return find_whole_table(table, name, snapshot_id)
    schema = table.schema()
    kinds = [field.field_type for field in spec.partition_type(schema).fields]

    def passes(rows: pa.Table) -> NDArray[np.bool_]:
        mask = np.zeros(rows.num_rows, bool)
        for values, own in partition_rows(rows, schema, spec):
            mask[own] = values in partitions
        return mask

    def concerns(file: FileFacts) -> bool | None:
        if file.spec_id != spec.spec_id:
            return None
        return tuple(binary_value(kind, file.partition[n]) for n, kind in enumerate(kinds)) in partitions

    # A void one looks at no column; its own may be gone.
    looked_at = [schema.find_field(part.source_id).name for part in spec.fields if str(part.transform) != "void"]
    columns = list(dict.fromkeys(looked_at)) or [schema.fields[0].name]
    removal = Removal(table, name, snapshot_id, columns, passes)
    live = live_files(table, full_spec(table, name, snapshot_id))
    judged = {path: concerns(each) for path, each in live.items()}
    removal.whole.update({path: live[path] for path, concerned in judged.items() if concerned})
    unsure = {path: live[path] for path, concerned in judged.items() if concerned is None}
    if unsure:
        find_rows(removal, unsure, memory)
    return removal, lambda file: concerns(file) is not False
