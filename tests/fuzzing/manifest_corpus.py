"""Records of manifests and of manifest lists, in each codec that C has, as manifests.c reads them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    PartitionFieldSummary,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import DecimalType, DoubleType, LongType, NestedField, StringType

from lakeflow_io.avro.container import open_container
from lakeflow_io.iceberg.file_io import TransportFileIO
from lakeflow_io.iceberg.manifests.binding import CODECS
from lakeflow_io.iceberg.manifests.entries import Extras, wanted_of_entries
from lakeflow_io.iceberg.manifests.listing import wanted_of_manifests
from lakeflow_io.iceberg.manifests.program import compiled

KINDS = [StringType(), LongType(), DoubleType(), DecimalType(20, 3)]
URI = "memory://fuzz/one.avro"


def manifest() -> bytes:
    """Entries with everything in them, and with next to nothing."""
    schema = Schema(*(NestedField(i, f"c{i}", kind) for i, kind in enumerate(KINDS, 1)))
    spec = PartitionSpec(*(PartitionField(i, 999 + i, IdentityTransform(), f"p{i}") for i in range(1, 4)))
    files = TransportFileIO({})
    with write_manifest(2, spec, schema, files.new_output(URI), 5, "null") as writer:
        for i in range(12):
            full: dict[str, Any] = {
                "column_sizes": {c: 100 * c for c in range(1, 5)}, "value_counts": {1: 5, 2: i},
                "null_value_counts": {3: 7}, "nan_value_counts": {3: 1}, "lower_bounds": {1: b"a" * i, 2: bytes(8)},
                "upper_bounds": {1: b"b" * i, 4: b""}, "split_offsets": [4, 5 * i], "sort_order_id": i,
                "equality_ids": [1] * i, "key_metadata": b"k",
            }  # fmt: skip
            file = DataFile.from_args(
                content=DataFileContent(i % 3), file_path=f"s3://bucket/file-{i}", file_format=FileFormat.PARQUET,
                partition=Record("p" * i if i % 4 else None, i, 0.5), record_count=i, file_size_in_bytes=10**i,
                **(full if i % 2 else {}),
            )  # fmt: skip
            writer.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=5, data_file=file))
    return bytes(files.transport.get(URI))


def manifest_list() -> bytes:
    """Manifests with and without summaries."""
    bounds = {"lower_bound": b"a", "upper_bound": b"b"}
    summary = PartitionFieldSummary.from_args(contains_null=True, contains_nan=False, **bounds)
    files = TransportFileIO({})
    with write_manifest_list(2, files.new_output(URI), 5, 4, 9, "null") as writer:
        writer.add_manifests(
            [
                ManifestFile.from_args(
                    manifest_path=f"s3://b/m{i}.avro", manifest_length=i, partition_spec_id=0,
                    content=ManifestContent.DATA, sequence_number=1, min_sequence_number=1, added_snapshot_id=5,
                    added_files_count=i,
                    existing_files_count=2, deleted_files_count=0, added_rows_count=1, existing_rows_count=1,
                    deleted_rows_count=1, partitions=[summary] * (i % 4) if i else None,
                )
                for i in range(9)
            ]
        )  # fmt: skip
    return bytes(files.transport.get(URI))


def corpus() -> bytes:
    """Each file's records in one block, in each codec."""
    wanted = [
        (manifest(), wanted_of_entries((1, 2, 3), Extras(frozenset({1, 2, 3}), (1, 2, 3, 4), (2, 4)))),
        (manifest(), wanted_of_entries((), Extras())),
        (manifest_list(), wanted_of_manifests(3)),
    ]
    found = []
    for data, fields in wanted:
        container = open_container(URI, memoryview(data))
        program = compiled(container.schema, fields)
        blocks = list(container.blocks())
        count, records = sum(block[0] for block in blocks), b"".join(block[1] for block in blocks)
        stream = zlib.compressobj(wbits=-15)
        packed = {
            "null": records,
            "deflate": stream.compress(records) + stream.flush(),
            "snappy": pa.Codec("snappy").compress(records).to_pybytes() + zlib.crc32(records).to_bytes(4, "big"),
        }
        for codec, number in CODECS.items():
            words, slots = np.array(program.words, np.int32), [(each.kind, each.width) for each in program.slots]
            block = packed[codec]
            head = struct.pack("<6q", len(words), len(slots), program.tally, number, count, len(block))
            # Damaged records go deepest.
            found += [head + words.tobytes() + np.array(slots, np.int32).tobytes() + block] * (6 if number == 0 else 2)
    return b"".join(found)
