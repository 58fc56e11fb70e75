"""Avro files made by hand, and both decoders."""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestEntry,
    ManifestEntryStatus,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
)

from lakeflow_io.iceberg.file_io import TransportFileIO
from lakeflow_io.iceberg.manifests import columns
from lakeflow_io.iceberg.manifests.entries import Extras
from lakeflow_io.iceberg.manifests.snapshot import Plan, plan_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.partitioning import PartitionField, PartitionSpec

SYNC = bytes(range(16))


def long(value: int) -> bytes:
    """A zigzag variable-length integer."""
    rest, found = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


def text(data: bytes) -> bytes:
    """Bytes with their length."""
    return long(len(data)) + data


def encoded(schema: Any, value: Any) -> bytes:  # noqa: C901  (a type a step)
    """A value in Avro's binary form; of a union `(branch, value)`, of a map a dict, of a record a list of fields."""
    if isinstance(schema, list):
        return long(value[0]) + encoded(schema[value[0]], value[1])
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "null":
        return b""
    if kind == "boolean":
        return bytes([value])
    if kind in ("int", "long", "enum"):
        return long(value)
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", value)
    if kind in ("bytes", "string"):
        return text(value)
    if kind == "fixed":
        return bytes(value)
    if kind == "record":
        return b"".join(encoded(each["type"], one) for each, one in zip(schema["fields"], value, strict=True))
    if kind == "map":
        items = [text(key) + encoded(schema["values"], each) for key, each in value.items()]
    else:
        items = [encoded(schema["items"], each) for each in value]
    if not items:
        return long(0)
    # In two parts, the second of which states its size.
    cut = len(items) // 2
    first = long(cut) + b"".join(items[:cut]) if cut else b""
    rest = b"".join(items[cut:])
    return first + long(-(len(items) - cut)) + long(len(rest)) + rest + long(0)


def compressed(codec: str, data: bytes) -> bytes:
    """A block in a codec of Avro."""
    if codec == "deflate":
        stream = zlib.compressobj(wbits=-15)
        return stream.compress(data) + stream.flush()
    if codec == "snappy":
        return pa.Codec("snappy").compress(data).to_pybytes() + zlib.crc32(data).to_bytes(4, "big")
    if codec == "zstandard":
        return bytes(pa.Codec("zstd").compress(data).to_pybytes())
    if codec in ("bzip2", "xz"):
        import bz2
        import lzma

        return bz2.compress(data) if codec == "bzip2" else lzma.compress(data)
    return data


def header(schema: Any, codec: str = "null") -> bytes:
    """What an Avro file begins with."""
    told = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": codec.encode()}
    return b"Obj\x01" + long(2) + b"".join(text(key) + text(value) for key, value in told.items()) + long(0) + SYNC


@dataclass
class AvroFile:
    """An Avro file of records, some to a block."""

    schema: Any
    records: list[Any]
    codec: str = "null"
    per_block: int = 3
    blocks: list[tuple[int, bytes]] = field(default_factory=list)

    def bytes(self) -> bytes:
        """All of it."""
        for at in range(0, len(self.records), self.per_block):
            some = self.records[at : at + self.per_block]
            self.blocks.append((len(some), b"".join(encoded(self.schema, each) for each in some)))
        blocks = [(count, compressed(self.codec, data)) for count, data in self.blocks]
        return self.framed(header(self.schema, self.codec), blocks)

    @staticmethod
    def framed(head: bytes, blocks: list[tuple[int, bytes]]) -> bytes:
        """A header and blocks that are compressed already."""
        return head + b"".join(long(count) + text(data) + SYNC for count, data in blocks)

    @staticmethod
    def header(schema: Any, codec: str) -> bytes:
        """What a file begins with."""
        return header(schema, codec)


@pytest.fixture(scope="session")
def avro_file() -> type[AvroFile]:
    """A maker of Avro files: `avro_file(schema, records, codec).bytes()`."""
    return AvroFile


@pytest.fixture(params=["compiled", "python"])
def decode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., columns.Columns]:
    """`decode_avro` by either decoder."""
    if request.param == "python":
        monkeypatch.setattr(columns, "avro_library", lambda: None)
    return lambda data, wanted, required=(): columns.decode_avro(
        "memory://t/m.avro", memoryview(data), wanted, required
    )


SCHEMA = Schema(
    NestedField(1, "i", LongType()),
    NestedField(2, "f", DoubleType()),
    NestedField(3, "s", StringType()),
    NestedField(4, "d", DateType()),
    NestedField(5, "ts", TimestampType()),
    NestedField(6, "dec", DecimalType(9, 2)),
    NestedField(7, "b", BooleanType()),
    NestedField(8, "n", IntegerType()),
    NestedField(9, "bin", BinaryType()),
    NestedField(10, "f4", FloatType()),
)
_CUT = 4
"""Characters of text in a bound."""


@dataclass
class MadeTable:
    """A table of manifests, whose files' rows are in memory: rows are dicts of values as Iceberg has them."""

    specs: dict[int, PartitionSpec]
    schema: Schema = SCHEMA
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    entries: dict[int, list[ManifestEntry]] = field(default_factory=dict)
    io: TransportFileIO = field(default_factory=lambda: TransportFileIO({}))
    folder: str = "memory://made"
    store: dict[str, str] = field(default_factory=dict)
    uri: str = ""
    """Of the list, once it is written for good."""

    def add(self, spec_id: int, rows: list[dict[str, Any]], left_out: frozenset[str] = frozenset()) -> None:
        """A file for each partition that the rows are in; without some statistics."""
        spec, partitions = self.specs[spec_id], {}
        for row in rows:
            values = tuple(self._transformed(part, row) for part in spec.fields)
            partitions.setdefault(repr(values), (values, []))[1].append(row)
        for values, some in partitions.values():
            path = f"{self.folder}/data-{len(self.files):04d}.parquet"
            self.files[path] = some
            statistics = {name: each for name, each in self._statistics(some).items() if name not in left_out}
            file = DataFile.from_args(
                content=DataFileContent.DATA, file_path=path, file_format=FileFormat.PARQUET, partition=Record(*values),
                record_count=len(some), file_size_in_bytes=1000, split_offsets=[4], **statistics,
            )  # fmt: skip
            self.add_entry(spec_id, file)

    def add_entry(self, spec_id: int, file: DataFile, status: Any = ManifestEntryStatus.ADDED) -> None:
        """An entry of any file."""
        number = None if status == ManifestEntryStatus.ADDED else 1
        entry = ManifestEntry.from_args(
            status=status, snapshot_id=5, sequence_number=number, file_sequence_number=number, data_file=file
        )
        self.entries.setdefault(spec_id, []).append(entry)

    def _transformed(self, part: PartitionField, row: dict[str, Any]) -> Any:
        source = self.schema.find_field(part.source_id)
        return part.transform.transform(source.field_type)(row[source.name])

    def _statistics(self, rows: list[dict[str, Any]]) -> dict[str, dict[int, Any]]:
        found: dict[str, dict[int, Any]] = {
            name: {}
            for name in ("value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")
        }
        for column in self.schema.fields:
            values = [row[column.name] for row in rows]
            there = [value for value in values if value is not None and not _is_nan(value)]
            found["value_counts"][column.field_id] = len(values)
            found["null_value_counts"][column.field_id] = values.count(None)
            if isinstance(column.field_type, DoubleType | FloatType):
                nans = sum(1 for value in values if _is_nan(value))
                found["nan_value_counts"][column.field_id] = nans
            if there:
                low, high = _bounds(there)
                found["lower_bounds"][column.field_id] = to_bytes(column.field_type, low)
                if high is not None:
                    found["upper_bounds"][column.field_id] = to_bytes(column.field_type, high)
        return found

    def commit(self, version: Any = 2) -> str:
        """Write manifests and their list; the list's URI."""
        manifests = []
        for spec_id, some in self.entries.items():
            output = self.io.new_output(f"{self.folder}/manifest-{spec_id}.avro")
            with write_manifest(version, self.specs[spec_id], self.schema, output, 5, "gzip") as writer:
                for entry in some:
                    writer.add_entry(entry)
            manifests.append(writer.to_manifest_file())
        uri = f"{self.folder}/list.avro"
        with write_manifest_list(version, self.io.new_output(uri), 5, 4, 9, "gzip") as lists:
            lists.add_manifests(manifests)
        return uri

    def plan(self, predicate: Any = None) -> Plan:
        """Write it all, unless that is done, and plan."""
        return plan_snapshot(
            self.uri or self.commit(), self.store, source="t@5", schema=self.schema, columns=self.schema,
            predicate=predicate, specs=self.specs, extras=Extras(),
        )  # fmt: skip


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _bounds(values: list[Any]) -> tuple[Any, Any]:
    """As writers cut them: a lower bound is a beginning, an upper one is not below."""
    low, high = min(values), max(values)
    if isinstance(high, float) and low == 0.0:
        low = -0.0  # as the specification has it
    if isinstance(high, str | bytes) and len(high) > _CUT:
        last = high[_CUT - 1]
        cut: Any = (high[: _CUT - 1] + chr(ord(last) + 1)) if isinstance(last, str) else None
        return low[:_CUT], cut
    return (low[:_CUT] if isinstance(low, str | bytes) else low), high


@pytest.fixture(scope="session")
def made_table() -> type[MadeTable]:
    """A maker of tables whose rows are known."""
    return MadeTable
