"""Manifests that workers write: descriptions of files -> Avro, before the snapshot that will have them is known.

Entries of added files may leave their snapshot and sequence number to whoever reads them, who takes those of the
manifest list (Iceberg's spec, "Manifest Entry Fields" and "Sequence Number Inheritance"). So a manifest can be
written before the commit, by anyone, and serves whichever try of whichever driver lands. Tables of format version 1
have no such inheritance.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from lakeflow_io.iceberg.vended import table_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.avro.codecs import AvroCompressionCodec
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import SnapshotSummaryCollector

__all__ = ["PackedManifest", "Packer"]

# commit.manifest.target-size-bytes, by Iceberg's documentation.
_TARGET_BYTES = 8 * 1024 * 1024
_INHERITS = 2  # the first format version in which entries inherit


@dataclass(frozen=True, slots=True)
class PackedManifest:
    """A manifest that no snapshot names yet; JSON-ready but for its type."""

    path: str
    length: int
    """Bytes."""
    spec_id: int
    files: int
    rows: int
    fields: list[list[Any]]
    """Of each partition field: whether there are nulls, NaNs; the smallest and largest value in base64."""
    partitions: list[list[Any]]
    """Of each partition: its values as files are described by, files, rows, bytes."""

    @property
    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def manifest(self, snapshot_id: int) -> ManifestFile:
        """The entry of a manifest list, in a snapshot that adds it."""
        from pyiceberg.manifest import UNASSIGNED_SEQ, ManifestContent, ManifestFile, PartitionFieldSummary

        return ManifestFile.from_args(
            manifest_path=self.path,
            manifest_length=self.length,
            partition_spec_id=self.spec_id,
            content=ManifestContent.DATA,
            sequence_number=UNASSIGNED_SEQ,
            min_sequence_number=UNASSIGNED_SEQ,
            added_snapshot_id=snapshot_id,
            added_files_count=self.files,
            existing_files_count=0,
            deleted_files_count=0,
            added_rows_count=self.rows,
            existing_rows_count=0,
            deleted_rows_count=0,
            partitions=[
                PartitionFieldSummary(nulls, nans, _bytes(lower), _bytes(upper))
                for nulls, nans, lower, upper in self.fields
            ],
            key_metadata=None,
        )

    def add_to(self, collector: SnapshotSummaryCollector, spec: PartitionSpec, schema: Schema) -> None:
        """Add what it has to what a snapshot's summary tells."""
        from lakeflow_io.iceberg.describe import partition_record

        for values, files, rows, size in self.partitions:
            metrics = [collector.metrics]
            if spec.fields:
                path = spec.partition_to_path(partition_record(spec, schema, values), schema)
                metrics.append(collector.partition_metrics[path])
            for each in metrics:
                each.added_data_files += files
                each.added_records += rows
                each.added_file_size += size


@dataclass(frozen=True, slots=True)
class Packer:
    """Writes manifests of one table; picklable."""

    schema: Schema
    spec: PartitionSpec
    folder: str
    """URI of the folder for metadata."""
    compression: str
    store: dict[str, str] = field(repr=False)

    @classmethod
    def for_table(cls, table: Table) -> Packer | None:
        """What workers need; None where entries of manifests can't inherit."""
        if table.metadata.format_version < _INHERITS:
            return None
        return cls(
            schema=table.schema(),
            spec=table.spec(),
            folder=table.location_provider().new_metadata_location("").rstrip("/"),
            compression=table.properties.get("write.avro.compression-codec", "gzip"),
            store=table_store(table),
        )

    def pack(self, name: str, staged: Iterable[dict[str, Any]]) -> list[PackedManifest]:
        """Write manifests of some 8 MB.

        Args:
            name: How their files' names begin.
            staged: Data files, as a `Writer` describes them, all of the packer's partition spec.

        Raises:
            StoreError: the store refused.
        """
        from lakeflow_io.iceberg.describe import data_file_of
        from lakeflow_io.iceberg.file_io import TransportFileIO
        from lakeflow_io.iceberg.snapshot_internals import PackedWriter

        io, files, made = TransportFileIO(self.store), iter(staged), list[PackedManifest]()
        for first in files:
            path = f"{self.folder}/{name}-{uuid4()}.avro"
            counts = _Counts()
            codec = cast("AvroCompressionCodec", self.compression)
            writer = PackedWriter(self.spec, self.schema, io.new_output(path), codec)
            with writer:
                for file in chain([first], files):
                    writer.add_file(data_file_of(self.spec, self.schema, file))
                    counts.add(file)
                    if writer.length >= _TARGET_BYTES:
                        break
            fields = [[each.contains_null, each.contains_nan, _text(each.lower_bound), _text(each.upper_bound)]
                      for each in writer.summaries]  # fmt: skip
            made.append(counts.manifest(path, writer.length, self.spec.spec_id, fields))
        return made


class _Counts:
    """What a manifest has, by partition."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str | None, ...], list[int]] = {}

    def add(self, file: dict[str, Any]) -> None:
        counts = self._partitions.setdefault(tuple(file["partition"]), [0, 0, 0])
        counts[0] += 1
        counts[1] += file["rows"]
        counts[2] += file["bytes"]

    def manifest(self, path: str, length: int, spec_id: int, fields: list[list[Any]]) -> PackedManifest:
        counted = self._partitions
        files, rows = (sum(counts[n] for counts in counted.values()) for n in (0, 1))
        partitions = [[list(values), *counts] for values, counts in counted.items()]
        return PackedManifest(path, length, spec_id, files, rows, fields, partitions)


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
