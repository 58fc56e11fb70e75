"""What other engines write: files of any format, row-level deletes, committed with pyiceberg's metadata classes."""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyroaring
from encoded import POSITION_DELETES, encoded
from pyiceberg.avro.file import AvroOutputFile
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    construct_partition_summaries,
    data_file_with_partition,
    manifest_entry_schema_with_data_file,
    write_manifest_list,
)
from pyiceberg.table.metadata import TableMetadataV3
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertTableUUID, SetSnapshotRefUpdate
from pyiceberg.typedef import Record

from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_schema, data_file_statistics
from lakeflow_io.parquet.encode import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.schema import Schema

    import lakeflow as lf

PATH_ID, POS_ID = 2147483546, 2147483545
POSITIONS = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": str(PATH_ID)}),
        pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": str(POS_ID)}),
    ]
)


def vector_blob(positions: Sequence[int], *, runs: bool = False) -> bytes:
    """A `deletion-vector-v1` blob."""
    bitmap = pyroaring.BitMap64(positions)
    if runs:
        bitmap.run_optimize()
    body = b"\xd1\xd3\x39\x64" + bitmap.serialize()
    return struct.pack(">I", len(body)) + body + struct.pack(">I", zlib.crc32(body))


def puffin(blobs: Sequence[tuple[str, bytes, int]]) -> tuple[bytes, list[int]]:
    """A Puffin file of vectors (data file, blob, cardinality), and where each begins."""
    data, described, offsets = b"PFA1", [], []
    for path, blob, cardinality in blobs:
        offsets.append(len(data))
        properties = {"referenced-data-file": path, "cardinality": str(cardinality)}
        described.append(
            {
                "type": "deletion-vector-v1",
                "fields": [],
                "snapshot-id": -1,
                "sequence-number": -1,
                "offset": len(data),
                "length": len(blob),
                "properties": properties,
            }
        )
        data += blob
    footer = json.dumps({"blobs": described}).encode()
    return data + b"PFA1" + footer + struct.pack("<I", len(footer)) + bytes(4) + b"PFA1", offsets


@dataclass
class DeletedTable:
    """Writes what other engines would, one commit at a time."""

    table: lf.Table
    version: int = 2
    row_group: int = 5
    numbers: Any = field(default_factory=itertools.count)

    @property
    def iceberg(self) -> Any:
        """The pyiceberg table."""
        return self.table.iceberg

    def put(self, name: str, data: bytes) -> str:
        """Write a file beside the table's; returns its path."""
        path = f"{self.table.location}/data/{next(self.numbers):03d}-{name}"
        with self.iceberg.io.new_output(path).create() as file:
            file.write(data)
        return path

    def data(self, rows: pa.Table, partition: Sequence[Any] = (), spec_id: int | None = None) -> DataFile:
        """A data file with the table's current columns."""
        schema = self.iceberg.schema()
        shaped = conform(rows, arrow_schema(schema, field_ids=True), "tests")
        sink = pa.BufferOutputStream()
        encode(shaped, {"write.parquet.row-group-limit": str(self.row_group)}, sink)
        encoded = sink.getvalue().to_pybytes()
        statistics = data_file_statistics(pq.read_metadata(pa.BufferReader(encoded)), schema, {})
        del statistics["record_count"]
        path = self.put("rows.parquet", encoded)
        return self.file(DataFileContent.DATA, path, len(encoded), rows.num_rows, partition, spec_id, **statistics)

    def encoded(
        self,
        kind: str,
        content: DataFileContent,
        rows: pa.Table,
        schema: Schema,
        partition: Sequence[Any] = (),
        **described: Any,
    ) -> DataFile:
        """A data or delete file of any format, with a few rows in each of its row groups."""
        data = encoded(kind, rows, schema, group=self.row_group)
        path = self.put(f"file.{kind.lower()}", data)
        return self.file(
            content, path, len(data), rows.num_rows, partition, None, file_format=FileFormat[kind], **described
        )

    def data_as(self, kind: str, rows: pa.Table, **options: Any) -> DataFile:
        """A data file of any format with the table's current columns."""
        return self.encoded(kind, DataFileContent.DATA, rows, self.iceberg.schema(), **options)

    def positions_as(self, kind: str, deletes: Sequence[tuple[str, int]], **options: Any) -> DataFile:
        """A position delete file of any format."""
        rows = pa.table({"file_path": [path for path, _ in deletes], "pos": [pos for _, pos in deletes]})
        return self.encoded(kind, DataFileContent.POSITION_DELETES, rows, POSITION_DELETES, **options)

    def keys_as(self, kind: str, columns: Mapping[str, Sequence[Any]], **options: Any) -> DataFile:
        """An equality delete file of any format, that compares these columns of the table."""
        schema = self.iceberg.schema().select(*columns)
        rows = pa.table(dict(columns), schema=arrow_schema(schema))
        ids = [schema.find_field(name).field_id for name in columns]
        return self.encoded(kind, DataFileContent.EQUALITY_DELETES, rows, schema, equality_ids=ids, **options)

    def positions(
        self,
        deletes: Sequence[tuple[str, int]],
        partition: Sequence[Any] = (),
        *,
        bounds: bool = True,
        spec_id: int | None = None,
        **options: Any,
    ) -> DataFile:
        """A position delete file, in the order given."""
        rows = pa.table(
            {"file_path": [path for path, _ in deletes], "pos": [pos for _, pos in deletes]}, schema=POSITIONS
        )
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, **options)
        encoded = sink.getvalue().to_pybytes()
        paths = sorted(path.encode() for path, _ in deletes)
        described = {"lower_bounds": {PATH_ID: paths[0]}, "upper_bounds": {PATH_ID: paths[-1]}} if bounds else {}
        path = self.put("positions.parquet", encoded)
        return self.file(
            DataFileContent.POSITION_DELETES, path, len(encoded), len(deletes), partition, spec_id, **described
        )

    def equality(
        self, rows: pa.Table, ids: Sequence[int], partition: Sequence[Any] = (), spec_id: int | None = None
    ) -> DataFile:
        """An equality delete file; `rows` carry field ids."""
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, row_group_size=max(3, rows.num_rows // 3))
        encoded = sink.getvalue().to_pybytes()
        path = self.put("equality.parquet", encoded)
        return self.file(
            DataFileContent.EQUALITY_DELETES, path, len(encoded), rows.num_rows, partition, spec_id,
            equality_ids=list(ids),
        )  # fmt: skip

    def keys(self, columns: Mapping[str, Sequence[Any]], **options: Any) -> DataFile:
        """An equality delete file that compares these columns of the table."""
        schema = self.iceberg.schema()
        whole = arrow_schema(schema, field_ids=True)
        rows = pa.table(dict(columns), schema=pa.schema([whole.field(name) for name in columns]))
        return self.equality(rows, [schema.find_field(name).field_id for name in columns], **options)

    def vectors(
        self,
        deleted: Mapping[str, Sequence[int]],
        partition: Sequence[Any] = (),
        name: str = "vectors.puffin",
        **options: Any,
    ) -> list[Any]:
        """A Puffin file with one vector for each data file."""
        blobs = [(path, vector_blob(rows, **options), len(rows)) for path, rows in deleted.items()]
        data, offsets = puffin(blobs)
        path = self.put(name, data)
        return [
            self.file(
                DataFileContent.POSITION_DELETES, path, len(data), cardinality, partition, None,
                file_format=FileFormat.PUFFIN, referenced_data_file=referenced, content_offset=offset,
                content_size_in_bytes=len(blob),
            )
            for (referenced, blob, cardinality), offset in zip(blobs, offsets, strict=True)
        ]  # fmt: skip

    def file(
        self,
        content: DataFileContent,
        path: str,
        size: int,
        rows: int,
        partition: Sequence[Any] = (),
        spec_id: int | None = None,
        **described: Any,
    ) -> DataFile:
        """A file as a manifest describes it."""
        fields = dict.fromkeys(
            ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds",
             "key_metadata", "split_offsets", "equality_ids", "sort_order_id", "first_row_id", "referenced_data_file",
             "content_offset", "content_size_in_bytes")
        )  # fmt: skip
        made = DataFile.from_args(
            _table_format_version=3, content=content, file_path=path, partition=Record(*partition), record_count=rows,
            file_size_in_bytes=size, **{**fields, "file_format": FileFormat.PARQUET, **described},
        )  # fmt: skip
        made.spec_id = self.iceberg.spec().spec_id if spec_id is None else spec_id
        return made

    def commit(self, *files: DataFile, status: ManifestEntryStatus = ManifestEntryStatus.ADDED) -> int:
        """One snapshot that adds files; returns its sequence number."""
        metadata = self.iceberg.metadata
        snapshot_id, sequence = metadata.new_snapshot_id(), metadata.next_sequence_number()
        parent = metadata.current_snapshot()
        manifests = list(parent.manifests(self.iceberg.io)) if parent else []
        groups: dict[tuple[bool, int], list[DataFile]] = {}
        for file in files:
            groups.setdefault((file.content == DataFileContent.DATA, file.spec_id), []).append(file)
        for (is_data, spec_id), group in groups.items():
            manifests.append(self.manifest(is_data, spec_id, group, snapshot_id, sequence, status))
        self.publish(manifests, snapshot_id, sequence)
        return sequence

    def manifest(
        self,
        is_data: bool,  # noqa: FBT001
        spec_id: int,
        files: Sequence[DataFile],
        snapshot_id: int,
        sequence: int,
        status: ManifestEntryStatus = ManifestEntryStatus.ADDED,
        entry_sequence: int | None = None,
    ) -> ManifestFile:
        """Write one manifest."""
        schema, spec = self.iceberg.schema(), self.iceberg.specs()[spec_id]
        kind = data_file_with_partition(spec.partition_type(schema), self.version)  # type: ignore[arg-type]
        columns = manifest_entry_schema_with_data_file(self.version, kind)  # type: ignore[arg-type]
        # Records are positions: those of version 2 are the first of version 3.
        record = manifest_entry_schema_with_data_file(3, data_file_with_partition(spec.partition_type(schema), 3))
        output = self.iceberg.io.new_output(f"{self.table.location}/metadata/{next(self.numbers):03d}-m.avro")
        described = {
            "schema": schema.model_dump_json(), "partition-spec": "[]", "partition-spec-id": str(spec_id),
            "format-version": str(self.version), "content": "data" if is_data else "deletes", "avro.codec": "null",
        }  # fmt: skip
        with AvroOutputFile(output, columns, "manifest_entry", record_schema=record, metadata=described) as writer:
            writer.write_block(
                [
                    ManifestEntry.from_args(
                        _table_format_version=3, status=status, snapshot_id=snapshot_id,
                        sequence_number=entry_sequence, file_sequence_number=entry_sequence, data_file=file,
                    )
                    for file in files
                ]
            )  # fmt: skip
        rows = sum(file.record_count for file in files)
        return ManifestFile.from_args(
            manifest_path=output.location, manifest_length=len(output.to_input_file()), partition_spec_id=spec_id,
            content=ManifestContent.DATA if is_data else ManifestContent.DELETES, sequence_number=sequence,
            min_sequence_number=sequence if entry_sequence is None else entry_sequence, added_snapshot_id=snapshot_id,
            added_files_count=len(files), existing_files_count=0, deleted_files_count=0, added_rows_count=rows,
            existing_rows_count=0, deleted_rows_count=0, key_metadata=None,
            partitions=construct_partition_summaries(spec, schema, [file.partition for file in files]),
        )  # fmt: skip

    def publish(self, manifests: Sequence[ManifestFile], snapshot_id: int, sequence: int) -> None:
        """Make manifests the table's current snapshot."""
        metadata = self.iceberg.metadata
        parent = metadata.current_snapshot()
        output = self.iceberg.io.new_output(f"{self.table.location}/metadata/{next(self.numbers):03d}-snap.avro")
        before = parent.snapshot_id if parent else None
        with write_manifest_list(2, output, snapshot_id, before, sequence, "null") as writer:
            writer.add_manifests(list(manifests))
        snapshot = Snapshot(
            snapshot_id=snapshot_id, parent_snapshot_id=before, sequence_number=sequence,
            schema_id=metadata.current_schema_id, manifest_list=output.location, summary=Summary(Operation.OVERWRITE),
        )  # fmt: skip
        self.iceberg.catalog.commit_table(
            self.iceberg,
            (AssertTableUUID(uuid=metadata.table_uuid),),
            (
                AddSnapshotUpdate(snapshot=snapshot),
                SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot_id),
            ),
        )
        self.table.refresh()
        if self.version == 3:
            self._as_version_3()

    def _as_version_3(self) -> None:
        """Metadata of version 3 is read by pyiceberg and not written: the catalog has version 2."""
        described = json.loads(self.iceberg.metadata.model_dump_json())
        described |= {"format-version": 3, "next-row-id": 0}
        for snapshot in described["snapshots"]:
            snapshot |= {"first-row-id": 0, "added-rows": 0}
        self.iceberg.metadata = TableMetadataV3(**described)

    def rows(self, **scan: Any) -> list[tuple[Any, ...]]:
        """What a scan finds, as sorted tuples."""
        found = self.table.scan(**scan).read().to_arrow()
        return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True), key=repr)
