"""As `internals`: names of pyiceberg that its documentation doesn't promise, those that write snapshots.

Nothing else in lakeflow subclasses what pyiceberg has for manifests and snapshots.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyiceberg.avro.decoder import StreamingBinaryDecoder
from pyiceberg.avro.file import AvroFile, Block
from pyiceberg.manifest import (
    DEFAULT_READ_VERSION,
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    _inherit_from_manifest,
    construct_partition_summaries,
    write_manifest,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table.snapshots import Operation, SnapshotSummaryCollector, Summary, update_snapshot_summaries
from pyiceberg.table.update.snapshot import _SnapshotProducer
from pyiceberg.types import DoubleType, StructType

from lakeflow_io.iceberg.refs import MAIN
from lakeflow_io.iceberg.update import Update

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pyiceberg.avro.codecs import AvroCompressionCodec
    from pyiceberg.io import FileIO, OutputFile
    from pyiceberg.manifest import ManifestFile, ManifestWriter, PartitionFieldSummary
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import UpdatesAndRequirements

    from lakeflow_io.iceberg.pack import PackedManifest

__all__ = ["NewSnapshot", "PackedWriter", "manifest_entries", "spec_schema", "staged_snapshots"]


# Half a MB of entries with the statistics of some columns.
_BLOCK_ENTRIES = 256
# What a branch says of how long its snapshots are kept.
_RETENTION = ("max_ref_age_ms", "max_snapshot_age_ms", "min_snapshots_to_keep")


class _ExactAvroFile(AvroFile[ManifestEntry]):
    """Decoded in Python: pyiceberg 0.12's compiled decoder reads a double as a float."""

    def _read_block(self) -> int:
        if self.block and self.decoder.read(len(self.header.sync)) != self.header.sync:
            raise ValueError("a block does not end with the file's sync marker")
        records, data = self.decoder.read_int(), self.decoder.read_bytes()
        codec = self.header.compression_codec()
        decoder = StreamingBinaryDecoder(codec.decompress(data) if codec else data)
        self.block = Block(reader=self.reader, block_records=records, block_decoder=decoder)
        return records


def manifest_entries(manifest: ManifestFile, io: FileIO, spec: PartitionSpec, schema: Schema) -> list[ManifestEntry]:
    """All entries of a manifest, those of removed files too, with the sequence numbers that they inherit.

    Args:
        manifest: From a manifest list.
        io: The table's.
        spec: The one that the manifest's files have.
        schema: One that has the columns that the spec looks at.
    """
    if not any(isinstance(field.field_type, DoubleType) for field in spec.partition_type(schema).fields):
        return manifest.fetch_manifest_entry(io, discard_deleted=False)
    with _ExactAvroFile(
        io.new_input(manifest.manifest_path),
        MANIFEST_ENTRY_SCHEMAS[DEFAULT_READ_VERSION],
        read_types={-1: ManifestEntry, 2: DataFile},
        read_enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
    ) as entries:
        return [_inherit_from_manifest(entry, manifest) for entry in entries]


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """A snapshot to be."""

    operation: str
    """`append`, `overwrite`, `delete` or `replace`."""
    added: Sequence[DataFile]
    """Data files and position delete files, of any partition spec."""
    summary: Mapping[str, str]
    """Extra entries of its summary."""
    rewritten: Mapping[ManifestFile, Sequence[tuple[ManifestEntry, bool]]] = field(default_factory=dict)
    """Manifests with files that go: their live entries, and whether each goes."""
    packed: Sequence[PackedManifest] = ()
    """Manifests of data files that are written already."""


def staged_snapshots(table: Table, branch: str, snapshots: Sequence[NewSnapshot]) -> Update:
    """Write the manifests of snapshots that are committed together, each on top of the one before.

    Args:
        table: As it was last seen. The first lies on the newest snapshot of its branch, and can be committed while
            that is the newest one.
        branch: What they are committed to.
        snapshots: One at least.
    """
    from pyiceberg.table.update import AssertRefSnapshotId

    head = table.metadata.snapshot_by_name(branch)
    transaction, producers = table.transaction(), list[_Producer]()

    def discard() -> None:
        for producer in producers:
            producer._clean_all_uncommitted()  # noqa: SLF001

    try:
        for snapshot in snapshots:
            producers.append(_Producer(snapshot, transaction, table.io, branch))
            transaction._stage(*producers[-1]._commit())  # noqa: SLF001
    except BaseException:
        discard()
        raise
    newest = producers[-1].snapshot_id
    return Update(
        transaction._updates,  # noqa: SLF001
        (AssertRefSnapshotId.model_validate({"ref": branch, "snapshot-id": head.snapshot_id if head else None}),),
        lambda now: now.metadata.snapshot_by_id(newest) is not None,
        discard,
        newest,
    )


class _Producer(_SnapshotProducer["_Producer"]):
    """What pyiceberg's own producers don't do: files of any spec, deletes, and files that go by name."""

    def __init__(self, snapshot: NewSnapshot, transaction: Transaction, io: FileIO, branch: str) -> None:
        super().__init__(
            Operation(snapshot.operation), transaction, io, snapshot_properties=dict(snapshot.summary), branch=branch
        )
        self.added, self.rewritten, self.packed = snapshot.added, snapshot.rewritten, snapshot.packed

    def _commit(self) -> UpdatesAndRequirements:
        (added, moved), requirements = super()._commit()
        # The branch keeps these, which pyiceberg leaves out.
        ref = self._transaction.table_metadata.refs.get(self._target_branch or MAIN)
        kept = {name: getattr(ref, name) for name in _RETENTION} if ref is not None else {}
        return (added, moved.model_copy(update=kept)), requirements

    def _manifests(self) -> list[ManifestFile]:
        packed = [each.manifest(self._snapshot_id) for each in self.packed]
        written = [*packed, *self._write_added(), *self._write_rewritten()]
        parent = self._transaction.table_metadata.snapshot_by_name(self._target_branch)
        before = parent.manifests(self._io) if parent is not None else []
        kept = [each for each in before if each not in self.rewritten]
        return written + [each for each in kept if each.has_added_files() or each.has_existing_files()]

    def _write_added(self) -> Iterator[ManifestFile]:
        groups: dict[tuple[int, bool], list[DataFile]] = defaultdict(list)
        for file in self.added:
            groups[file.spec_id, file.content != DataFileContent.DATA].append(file)
        for (spec_id, deletes), files in groups.items():
            with self._writer(spec_id, deletes=deletes) as writer:
                for file in files:
                    writer.add(
                        ManifestEntry.from_args(
                            status=ManifestEntryStatus.ADDED,
                            snapshot_id=self._snapshot_id,
                            sequence_number=None,
                            file_sequence_number=None,
                            data_file=file,
                        )
                    )
            yield writer.to_manifest_file()

    def _write_rewritten(self) -> Iterator[ManifestFile]:
        for manifest, entries in self.rewritten.items():
            deletes = manifest.content == ManifestContent.DELETES
            with self._writer(manifest.partition_spec_id, deletes=deletes) as writer:
                for entry, goes in entries:
                    (writer.delete if goes else writer.existing)(entry)
            yield writer.to_manifest_file()

    def _writer(self, spec_id: int, *, deletes: bool) -> ManifestWriter:
        metadata = self._transaction.table_metadata
        spec = _NullablePartitions.of(metadata.specs()[spec_id])
        schema = spec_schema(metadata, spec)
        if deletes:
            return _DeletesWriter(spec, schema, self.new_manifest_output(), self._snapshot_id, self._compression)
        return write_manifest(
            metadata.format_version, spec, schema, self.new_manifest_output(), self._snapshot_id, self._compression
        )

    def _summary(self, snapshot_properties: dict[str, str]) -> Summary:  # type: ignore[override]
        metadata = self._transaction.table_metadata
        limit = int(metadata.properties.get("write.summary.partition-limit", 0))
        collector, specs = SnapshotSummaryCollector(partition_summary_limit=limit), metadata.specs()
        for file in self.added:
            spec = specs[file.spec_id]
            collector.add_file(file, spec_schema(metadata, spec), spec)
        for packed in self.packed:
            packed.add_to(collector, specs[packed.spec_id], spec_schema(metadata, specs[packed.spec_id]))
        for entry in (entry for entries in self.rewritten.values() for entry, goes in entries if goes):
            spec = specs[entry.data_file.spec_id]
            collector.remove_file(entry.data_file, spec_schema(metadata, spec), spec)
        parent = metadata.snapshot_by_name(self._target_branch)
        # It sums up any operation, but one it has no name for.
        summed = update_snapshot_summaries(
            Summary(Operation.OVERWRITE, **collector.build(), **snapshot_properties),
            parent.summary if parent is not None else None,
        )
        return Summary(self._operation, **summed.additional_properties)

    def _existing_manifests(self) -> list[ManifestFile]:
        raise NotImplementedError  # `_manifests` is all of it

    def _deleted_entries(self) -> list[ManifestEntry]:
        raise NotImplementedError


class _NullablePartitions(PartitionSpec):
    """A spec as Iceberg has it: a partition may be null though its column may not, as a void one is.

    pyiceberg would write no manifest with such a null.
    """

    @classmethod
    def of(cls, spec: PartitionSpec) -> Self:
        return cls.model_validate({"spec-id": spec.spec_id, "fields": spec.fields})

    def partition_type(self, schema: Schema) -> StructType:
        fields = super().partition_type(schema).fields
        return StructType(*(field.model_copy(update={"required": False}) for field in fields))


class PackedWriter(ManifestWriterV2):
    """Writes a manifest of added data files for a snapshot that isn't known yet: who reads it inherits its id.

    Entries lie many in a block, where they compress to a third of what they take alone, as pyiceberg writes them.
    """

    def __init__(
        self, spec: PartitionSpec, schema: Schema, file: OutputFile, compression: AvroCompressionCodec
    ) -> None:
        super().__init__(_NullablePartitions.of(spec), schema, file, 0, compression)
        self._waiting: list[ManifestEntry] = []
        self._bytes = 0

    def add_file(self, file: DataFile) -> None:
        """Add one."""
        self._added_files += 1
        self._added_rows += file.record_count
        self._partitions.append(file.partition)
        entry = ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED, snapshot_id=None, sequence_number=None, file_sequence_number=None,
            data_file=file,
        )  # fmt: skip
        self._waiting.append(entry)
        if len(self._waiting) == _BLOCK_ENTRIES:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        super().__exit__(kind, error, trace)

    @property
    def length(self) -> int:
        """Bytes written."""
        return self._bytes

    @property
    def summaries(self) -> list[PartitionFieldSummary]:
        """Of the values of each partition field."""
        return construct_partition_summaries(self._spec, self._schema, self._partitions)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_block(self._waiting)
            self._waiting = []
        self._bytes = self._writer.tell()


class _DeletesWriter(ManifestWriterV2):
    """pyiceberg writes manifests of data files only."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def spec_schema(metadata: TableMetadata, spec: PartitionSpec) -> Schema:
    """The newest schema that has all columns that a partition spec looks at: some may be gone since."""
    newest_first = [metadata.schema(), *sorted(metadata.schemas, key=lambda each: -each.schema_id)]
    sources = {field.source_id for field in spec.fields}
    return next((each for each in newest_first if sources <= set(each.field_ids)), metadata.schema())
