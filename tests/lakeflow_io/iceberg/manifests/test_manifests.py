"""Manifests that pyiceberg writes: every field of every entry is what pyiceberg reads, and what is inherited."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.avro.file import AvroFile, AvroOutputFile
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    PartitionFieldSummary,
    data_file_with_partition,
    manifest_entry_schema_with_data_file,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.manifest import ManifestFile as IcebergManifest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.iceberg.file_io import TransportFileIO
from lakeflow_io.iceberg.manifests import columns
from lakeflow_io.iceberg.manifests.entries import Entries, Extras, read_manifest
from lakeflow_io.iceberg.manifests.listing import ManifestFile, read_manifest_list
from lakeflow_io.iceberg.manifests.values import PartitionColumns

if TYPE_CHECKING:
    from collections.abc import Callable

IO = TransportFileIO({})
KINDS = {
    BooleanType(): True, IntegerType(): -5, LongType(): 2**40, FloatType(): 0.5, DoubleType(): 0.1, DateType(): 18_000,
    TimeType(): 5, TimestampType(): -7, TimestamptzType(): 9, StringType(): "é", BinaryType(): b"\\0x",
    FixedType(3): b"abc", DecimalType(9, 2): Decimal("-1.25"), DecimalType(38, 0): Decimal(10**37),
    UUIDType(): uuid.UUID(int=7),
}  # fmt: skip
SCHEMA = Schema(*(NestedField(i, f"c{i}", kind) for i, kind in enumerate(KINDS, 1)))
SPEC = PartitionSpec(*(PartitionField(i, 999 + i, IdentityTransform(), f"p{i}") for i in range(1, len(KINDS) + 1)))
NUMBERS = st.integers(0, 2**62)
COUNTS = st.none() | st.dictionaries(st.integers(1, 4), NUMBERS, max_size=4)
BOUNDS = st.none() | st.dictionaries(st.integers(1, 4), st.binary(max_size=9), max_size=4)
OFFSETS = st.none() | st.lists(NUMBERS, max_size=3)
EXTRAS = Extras(frozenset({1, 2, 3}))
STATISTICS = {
    "values": "value_counts", "nulls": "null_value_counts", "nans": "nan_value_counts", "lower": "lower_bounds",
    "upper": "upper_bounds",
}  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> DataFile:
    """A data or delete file."""
    return DataFile.from_args(
        content=draw(st.sampled_from(list(DataFileContent))),
        file_path=draw(st.text(min_size=1, max_size=30)),
        file_format=FileFormat.PARQUET,
        partition=Record(*(each if draw(st.booleans()) else None for each in KINDS.values())),
        record_count=draw(NUMBERS),
        file_size_in_bytes=draw(NUMBERS),
        column_sizes=draw(COUNTS),
        value_counts=draw(COUNTS),
        null_value_counts=draw(COUNTS),
        nan_value_counts=draw(COUNTS),
        lower_bounds=draw(BOUNDS),
        upper_bounds=draw(BOUNDS),
        key_metadata=draw(st.none() | st.binary(max_size=5)),
        split_offsets=draw(OFFSETS),
        equality_ids=draw(OFFSETS),
        sort_order_id=draw(st.none() | st.integers(0, 2**31 - 1)),
    )


@st.composite
def entries(draw: st.DrawFn) -> ManifestEntry:
    """An entry of any status."""
    status = draw(st.sampled_from(list(ManifestEntryStatus)))
    number = st.integers(0, 9) if status != ManifestEntryStatus.ADDED else st.none() | st.integers(0, 9)
    return ManifestEntry.from_args(
        status=status, snapshot_id=5, sequence_number=draw(number), file_sequence_number=draw(number),
        data_file=draw(files()),
    )  # fmt: skip


def written(version: Any, some: list[ManifestEntry], codec: Any = "gzip") -> bytes:
    """A manifest by pyiceberg."""
    output = IO.new_output("memory://manifests/one.avro")
    with write_manifest(version, SPEC, SCHEMA, output, 5, codec) as writer:
        for each in some:
            writer.add_entry(each)
    return bytes(IO.transport.get("memory://manifests/one.avro"))


def listed(data: bytes, sequence: int = 8, content: int = 0) -> ManifestFile:
    """What a list says of it."""
    return ManifestFile("memory://manifests/one.avro", len(data), 0, content, sequence, 5, None)


def iceberg_manifest(version: int, sequence: int = 8) -> IcebergManifest:
    """The same for pyiceberg."""
    return IcebergManifest.from_args(
        manifest_path="memory://manifests/one.avro", manifest_length=1, partition_spec_id=0,
        content=ManifestContent.DATA, sequence_number=0 if version == 1 else sequence, min_sequence_number=0,
        added_snapshot_id=5,
    )  # fmt: skip


def column(found: Entries, name: str) -> list[Any]:
    """A column's values; nulls where it isn't there."""
    return found.arrays[name].to_pylist() if name in found.arrays else [None] * found.count


def check(found: Entries, expected: list[ManifestEntry]) -> None:
    """Each field is the same."""
    data = [entry.data_file for entry in expected]
    assert found.count == len(expected)
    assert column(found, "status") == [int(entry.status) for entry in expected]
    assert column(found, "snapshot_id") == [entry.snapshot_id for entry in expected]
    assert column(found, "sequence") == [entry.sequence_number for entry in expected]
    assert found.numbers("content").tolist() == [int(each.content) for each in data]
    assert column(found, "path") == [each.file_path for each in data]
    assert column(found, "format") == [each.file_format.value.encode() for each in data]
    assert column(found, "rows") == [each.record_count for each in data]
    assert column(found, "size") == [each.file_size_in_bytes for each in data]
    assert column(found, "splits") == [each.split_offsets for each in data]
    assert column(found, "equality_ids") == [each.equality_ids for each in data]
    for name, attribute in STATISTICS.items():
        for number in EXTRAS.bounds:
            assert column(found, f"{name}:{number}") == [(getattr(each, attribute) or {}).get(number) for each in data]
    partitions = PartitionColumns.of(found, SPEC).rows()
    doubles = next(i for i, kind in enumerate(KINDS) if isinstance(kind, DoubleType))
    for values, each in zip(partitions, data, strict=True):
        theirs = [each.partition[i] for i in range(len(SPEC.fields))]
        theirs[doubles] = None if theirs[doubles] is None else 0.1  # pyiceberg reads them as floats
        assert list(values) == theirs
        assert list(map(type, values)) == list(map(type, theirs))


@pytest.mark.parametrize("way", ["compiled", "python"])
@settings(max_examples=60, deadline=None)
@given(version=st.sampled_from([1, 2]), some=st.lists(entries(), min_size=1, max_size=6))
def test_every_field_is_what_pyiceberg_reads(way: str, version: int, some: list[ManifestEntry]) -> None:
    """Live entries, with what they inherit: numbers, texts, lists, statistics, partition values of every type."""
    for each in some if version == 1 else ():
        each.data_file._data[0] = DataFileContent.DATA
    for each in some if version == 1 else ():
        each.data_file._data[14] = None
        each.sequence_number = each.file_sequence_number = None
    data = written(version, some)
    expected = iceberg_manifest(version).fetch_manifest_entry(IO)

    with pytest.MonkeyPatch.context() as patch:
        if way == "python":
            patch.setattr(columns, "avro_library", lambda: None)
        found = read_manifest(listed(data, 0 if version == 1 else 8), memoryview(data), EXTRAS)

    check(found, expected)


@pytest.mark.parametrize("codec", ["gzip", "zstandard", "null"])
def test_codecs_of_pyiceberg(codec: str) -> None:
    """Whatever `write.avro.compression-codec` says."""
    file = DataFile.from_args(
        content=DataFileContent.DATA, file_path="f", file_format=FileFormat.PARQUET,
        partition=Record(*KINDS.values()), record_count=1, file_size_in_bytes=2,
    )  # fmt: skip
    entry = ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=5, data_file=file)
    data = written(2, [entry] * 20, codec)

    check(read_manifest(listed(data), memoryview(data), EXTRAS), iceberg_manifest(2).fetch_manifest_entry(IO))


def version_3(some: list[dict[str, Any]]) -> bytes:
    """A manifest of version 3, which pyiceberg has the schema of and no writer for."""
    schema = manifest_entry_schema_with_data_file(
        3, data_file_with_partition(PartitionSpec().partition_type(SCHEMA), 3)
    )
    output = IO.new_output("memory://manifests/one.avro")
    with AvroOutputFile[Any](output, schema, "manifest_entry", schema) as writer:
        for each in some:
            status = each.pop("status", ManifestEntryStatus.ADDED)
            file = DataFile.from_args(
                3, content=DataFileContent(each.pop("content", 0)), file_format=FileFormat.PARQUET, partition=Record(),
                file_size_in_bytes=2, **each,
            )  # fmt: skip
            entry = ManifestEntry.from_args(3, status=status, snapshot_id=None, sequence_number=None, data_file=file)
            writer.write_block([entry])
    return bytes(IO.transport.get("memory://manifests/one.avro"))


def test_deletion_vectors_are_told() -> None:
    """Offset, length and data file of each come from version 3's columns."""
    data = version_3(
        [
            {
                "file_path": "v.puffin", "content": 1, "record_count": 3, "referenced_data_file": "s3://b/d.parquet",
                "content_offset": 4, "content_size_in_bytes": 50,
            }
        ]
    )  # fmt: skip

    found = read_manifest(listed(data, content=1), memoryview(data), Extras())

    assert column(found, "referenced") == [b"s3://b/d.parquet"]
    assert column(found, "content_offset") == [4]
    assert column(found, "content_size") == [50]


def test_a_manifest_that_is_shorter_than_its_list_says() -> None:
    """A file that was cut between two blocks decodes, and is refused."""
    entry = ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED, snapshot_id=5,
        data_file=DataFile.from_args(
            content=DataFileContent.DATA, file_path="f", file_format=FileFormat.PARQUET,
            partition=Record(*KINDS.values()), record_count=1, file_size_in_bytes=2,
        ),
    )  # fmt: skip
    data = written(2, [entry] * 3)
    cut = data[: data.rindex(data[-16:], 0, len(data) - 1) + 16]

    with pytest.raises(CorruptFileError, match=r"one\.avro.*bytes rather than"):
        read_manifest(listed(data), memoryview(cut), Extras())


@pytest.mark.parametrize("version", [1, 2])
def test_a_manifest_list_is_what_pyiceberg_reads(version: Any, decode: Callable[..., columns.Columns]) -> None:
    """Paths, lengths, specs, numbers, counts and the summaries of partitions."""
    del decode  # either decoder
    summaries = [
        PartitionFieldSummary.from_args(contains_null=True, contains_nan=None, lower_bound=b"a", upper_bound=b"b"),
        PartitionFieldSummary.from_args(contains_null=False, contains_nan=True, lower_bound=None, upper_bound=None),
    ]
    manifests = [
        IcebergManifest.from_args(
            manifest_path=f"s3://b/m{i}.avro", manifest_length=100 + i, partition_spec_id=i,
            content=ManifestContent(i % version), sequence_number=i + 1, min_sequence_number=i, added_snapshot_id=5,
            added_files_count=i, existing_files_count=2, deleted_files_count=0, added_rows_count=1,
            existing_rows_count=1,
            deleted_rows_count=1,
            partitions=summaries[: i % 3] if i else None,
        )
        for i in range(5)
    ]  # fmt: skip
    output = IO.new_output("memory://manifests/list.avro")
    with write_manifest_list(version, output, 5, 4, 9, "gzip") as writer:
        writer.add_manifests(manifests)

    found = read_manifest_list("memory://manifests/list.avro", IO.transport.get("memory://manifests/list.avro"), 2)

    for i, each in enumerate(found.manifests):
        assert (each.path, each.length, each.spec_id) == (f"s3://b/m{i}.avro", 100 + i, i)
        assert (each.content, each.sequence_number) == (i % version, i + 1 if version == 2 else 0)
        assert (each.added_snapshot_id, each.live_files) == (5, i + 2)
    assert len(found.manifests) == 5
    assert values(found.summary("lower", 0), 5) == [None, b"a", b"a", None, b"a"]
    assert values(found.summary("null", 0), 5) == [None, 1, 1, None, 1]
    assert values(found.summary("nan", 0), 5) == [None] * 5
    assert values(found.summary("nan", 1), 5) == [None, None, 1, None, None]
    assert values(found.summary("upper", 1), 5) == [None] * 5


def values(array: Any, rows: int) -> list[Any]:
    """Of a column that may not be there."""
    return array.to_pylist() if array is not None else [None] * rows


def test_the_oracle_reads_version_3() -> None:
    """Pyiceberg's schema of version 3 is the one that these tests write with."""
    version_3([{"file_path": "a", "record_count": 1}])
    with AvroFile[ManifestEntry](
        IO.new_input("memory://manifests/one.avro"), MANIFEST_ENTRY_SCHEMAS[3], {-1: ManifestEntry, 2: DataFile}, {}
    ) as entries_of:
        assert [entry.data_file[1] for entry in entries_of] == ["a"]
