"""Files that were written -> JSON-ready descriptions, and descriptions -> entries of manifests."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

from lakeflow_io.iceberg.internals import data_file_statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.typedef import Record
    from pyiceberg.types import PrimitiveType

__all__ = ["data_file", "data_file_of", "describe_file", "partition_record"]

_COUNTS = ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
_BOUNDS = ("lower_bounds", "upper_bounds")


def describe_file(
    metadata: Any, schema: Schema, properties: dict[str, str], nans: Mapping[int, int] | None = None
) -> dict[str, Any]:
    """A written file's statistics as JSON: sizes, counts and bounds by field id, and where row groups begin.

    Args:
        metadata: Its `pyarrow.parquet.FileMetaData`.
        schema: The table's.
        properties: The table's.
        nans: How many NaN there are, by field id.
    """
    statistics = data_file_statistics(metadata, schema, properties)
    statistics["nan_value_counts"] = {k: v for k, v in (nans or {}).items() if k in statistics["value_counts"]}
    return {
        "split_offsets": statistics["split_offsets"],
        **{name: {str(k): v for k, v in statistics[name].items()} for name in _COUNTS},
        **{name: {str(k): base64.b64encode(v).decode() for k, v in statistics[name].items()} for name in _BOUNDS},
    }


def data_file(table: Table, file: dict[str, Any]) -> DataFile:
    """The manifest's entry of a file that was described; one with `deletes` has positions of deleted rows."""
    from lakeflow_io.iceberg.snapshot_internals import spec_schema

    spec = table.metadata.specs()[file["spec_id"]]
    return data_file_of(spec, spec_schema(table.metadata, spec), file)


def data_file_of(spec: PartitionSpec, schema: Schema, file: dict[str, Any]) -> DataFile:
    """The same where there is no table at hand: its file's partition spec, and a schema that has the spec's columns."""
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat

    facts: dict[str, Any] = {name: {int(k): v for k, v in file[name].items()} for name in _COUNTS}
    facts |= {name: {int(k): base64.b64decode(v) for k, v in file[name].items()} for name in _BOUNDS}
    made = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES if file.get("deletes") else DataFileContent.DATA,
        file_path=file["path"],
        file_format=FileFormat.PARQUET,
        partition=partition_record(spec, schema, file["partition"]),
        record_count=file["rows"],
        file_size_in_bytes=file["bytes"],
        sort_order_id=file["sort_order_id"],
        split_offsets=file["split_offsets"],
        equality_ids=None,
        key_metadata=None,
        **facts,
    )
    made.spec_id = spec.spec_id
    return made


def partition_record(spec: PartitionSpec, schema: Schema, values: Sequence[str | None]) -> Record:
    """Partition values as manifests have them, from those of a description."""
    from pyiceberg.conversions import from_bytes
    from pyiceberg.typedef import Record

    kinds = [field.field_type for field in spec.partition_type(schema).fields]
    return Record(
        *(
            None if value is None else from_bytes(cast("PrimitiveType", kind), base64.b64decode(value))
            for kind, value in zip(kinds, values, strict=True)
        )
    )
