"""Tables of any number of files that aren't there: manifests, a list of them, metadata, a catalog.

The header of each manifest is what pyiceberg writes; entries are encoded here, as Java's writers do it: blocks of
64 kB, DEFLATE, about 8 MB a manifest.
"""

from __future__ import annotations

import random
import shutil
import struct
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.home import home
from lakeflow_io.avro.container import encoded_long

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

__all__ = ["CATALOG", "TABLE", "catalog_properties", "plan_table"]

CATALOG, TABLE = "lakeflow", "bench.planned"
_VERSION = 1
"""Part of the folder's name: a change of what is made here makes it again."""
REGIONS, DAYS = 20, 365
FIRST_DAY = 18_262  # 2020-01-01
_BLOCK_BYTES = 64_000  # Avro's default in Java
_MANIFEST_FILES = 28_000  # about 8 MB, Iceberg's default
_COLUMNS = 10


def plan_table(files: int) -> Path:
    """The folder of a warehouse with the table `bench.planned`; made if it isn't there."""
    parent = home() / f"plan-{_VERSION}"
    folder = parent / str(files)
    if not folder.exists():
        parent.mkdir(parents=True, exist_ok=True)
        print(f"making a table of {files} files in {parent}", file=sys.stderr)
        # In place: paths in metadata are absolute. What is half made has no catalog at its end.
        with tempfile.TemporaryDirectory(dir=parent) as spare:
            try:
                folder.mkdir()
                _make(folder, files)
            except BaseException:
                shutil.move(folder, Path(spare) / "failed")
                raise
    return folder


def catalog_properties(folder: Path) -> dict[str, str]:
    """How the catalog of a folder is opened."""
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}


def _make(folder: Path, files: int) -> None:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import DayTransform, IdentityTransform
    from pyiceberg.types import DoubleType, LongType, NestedField, StringType, TimestampType

    kinds = [
        ("id", LongType()), ("region", StringType()), ("ts", TimestampType()), ("amount", DoubleType()),
        ("price", DoubleType()), ("name", StringType()), ("code", StringType()), ("n1", LongType()), ("n2", LongType()),
        ("n3", LongType()),
    ]  # fmt: skip
    schema = Schema(*(NestedField(number, name, kind) for number, (name, kind) in enumerate(kinds, 1)))
    spec = PartitionSpec(
        PartitionField(2, 1000, IdentityTransform(), "region"), PartitionField(3, 1001, DayTransform(), "ts_day")
    )
    catalog = load_catalog(CATALOG, **catalog_properties(folder))
    catalog.create_namespace("bench")
    table = catalog.create_table(TABLE, schema, partition_spec=spec)
    _commit(table, folder, files)


def _commit(table: Table, folder: Path, files: int) -> None:
    from pyiceberg.manifest import ManifestContent, ManifestFile, PartitionFieldSummary, write_manifest_list
    from pyiceberg.table.snapshots import Operation, Snapshot, Summary
    from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate

    snapshot_id, sequence = 1_000_000_007, 1
    manifests = []
    for path, length, count, days in _manifests(table, folder, files, snapshot_id):
        bounds = [(b"region-00", b"region-%02d" % (REGIONS - 1)), tuple(struct.pack("<i", day) for day in days)]
        summaries = [
            PartitionFieldSummary.from_args(contains_null=False, contains_nan=False, lower_bound=low, upper_bound=high)
            for low, high in bounds
        ]
        manifests.append(
            ManifestFile.from_args(
                manifest_path=f"file://{path}", manifest_length=length, partition_spec_id=0,
                content=ManifestContent.DATA, sequence_number=sequence, min_sequence_number=sequence,
                added_snapshot_id=snapshot_id, added_files_count=count, existing_files_count=0, deleted_files_count=0,
                added_rows_count=count * 1000, existing_rows_count=0, deleted_rows_count=0, partitions=summaries,
            )
        )  # fmt: skip
    where = f"file://{folder}/metadata/snap-{snapshot_id}.avro"
    with write_manifest_list(2, table.io.new_output(where), snapshot_id, None, sequence, "gzip") as writer:
        writer.add_manifests(manifests)
    snapshot = Snapshot(
        snapshot_id=snapshot_id, sequence_number=sequence, timestamp_ms=table.metadata.last_updated_ms + 1,
        manifest_list=where, summary=Summary(Operation.APPEND), schema_id=0,
    )  # fmt: skip
    table.catalog.commit_table(
        table,
        (),
        (
            AddSnapshotUpdate(snapshot=snapshot),
            SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot_id),
        ),
    )


def _manifests(
    table: Table, folder: Path, files: int, snapshot_id: int
) -> Iterator[tuple[Path, int, int, tuple[int, int]]]:
    """Write manifests; path, bytes, files and the range of days of each."""
    (folder / "metadata").mkdir(exist_ok=True)
    header = _header(table.schema(), table.spec(), folder, table)
    sync, luck = header[-16:], random.Random(7)  # noqa: S311  (sizes and names)
    for number, first in enumerate(range(0, files, _MANIFEST_FILES)):
        path, last = folder / "metadata" / f"manifest-{number:05d}.avro", min(first + _MANIFEST_FILES, files)
        with path.open("wb") as file:
            file.write(header)
            block, count = bytearray(), 0
            for index in range(first, last):
                block += _entry(index, files, snapshot_id, luck)
                count += 1
                if len(block) >= _BLOCK_BYTES or index == last - 1:
                    data = _deflate(block)
                    file.write(encoded_long(count) + encoded_long(len(data)) + data + sync)
                    block, count = bytearray(), 0
        yield path, path.stat().st_size, last - first, (_day(first, files), _day(last - 1, files))


def _header(schema: Schema, spec: PartitionSpec, folder: Path, table: Table) -> bytes:
    """What pyiceberg puts before the first block."""
    from pyiceberg.manifest import (
        DataFile,
        DataFileContent,
        FileFormat,
        ManifestEntry,
        ManifestEntryStatus,
        write_manifest,
    )
    from pyiceberg.typedef import Record

    path = folder / "metadata" / "template.avro"
    with write_manifest(2, spec, schema, table.io.new_output(f"file://{path}"), 1, "gzip") as writer:
        file = DataFile.from_args(
            content=DataFileContent.DATA, file_path="f", file_format=FileFormat.PARQUET, partition=Record("r", 1),
            record_count=1, file_size_in_bytes=1,
        )  # fmt: skip
        writer.add(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=1, data_file=file))
    data = path.read_bytes()
    path.unlink()
    return data[: data.index(data[-16:]) + 16]


def _day(index: int, files: int) -> int:
    return FIRST_DAY + index * DAYS // files


def _entry(index: int, files: int, snapshot_id: int, luck: random.Random) -> bytes:
    """One added file: as MANIFEST_ENTRY_SCHEMAS[2] of pyiceberg has its fields."""
    day, region = _day(index, files), f"region-{index % REGIONS:02d}".encode()
    rows = luck.randrange(900, 1100)
    sizes = [luck.randrange(500, 90_000) for _ in range(_COLUMNS)]
    folder = f"s3://bucket/warehouse/bench/planned/data/region={region.decode()}/ts_day={day}"
    path = f"{folder}/{index:05d}-{luck.getrandbits(128):032x}-00001.parquet"
    lows, highs = _bounds(index, day, region, luck)
    some = b"\2"
    return b"".join(
        (
            b"\2", some, encoded_long(snapshot_id), b"\0", b"\0",  # added, its snapshot, inherited sequence numbers
            b"\0", _text(path.encode()), _text(b"PARQUET"),
            some, _text(region), some, encoded_long(day),
            encoded_long(rows), encoded_long(4 + sum(sizes) + 3000),
            some, _numbers(sizes), some, _numbers([rows] * _COLUMNS), some, _numbers([0] * _COLUMNS),
            some, _map({4: encoded_long(0), 5: encoded_long(0)}), some, _map(lows), some, _map(highs),
            b"\0",  # no key
            some, encoded_long(1), encoded_long(4), b"\0",  # one row group
            b"\0", some, encoded_long(0),  # no equality ids, sort order 0
        )
    )  # fmt: skip


def _bounds(index: int, day: int, region: bytes, luck: random.Random) -> tuple[dict[int, bytes], dict[int, bytes]]:
    micros = day * 86_400_000_000
    first = {1: struct.pack("<q", index * 1000), 2: region, 3: struct.pack("<q", micros + luck.randrange(10**9))}
    last = {1: struct.pack("<q", index * 1000 + 999), 2: region, 3: struct.pack("<q", micros + 86_000_000_000)}
    for column in (4, 5):
        first[column], last[column] = struct.pack("<d", luck.random()), struct.pack("<d", 99 + luck.random())
    for column in (6, 7):
        first[column], last[column] = b"aa%014x" % luck.getrandbits(56), b"zz%014x" % luck.getrandbits(56)
    for column in (8, 9, 10):
        first[column] = struct.pack("<q", luck.randrange(1000))
        last[column] = struct.pack("<q", 10**9 + luck.randrange(1000))
    return {key: _text(value) for key, value in first.items()}, {key: _text(value) for key, value in last.items()}


def _numbers(values: list[int]) -> bytes:
    return _map({key: encoded_long(value) for key, value in enumerate(values, 1)})


def _map(values: dict[int, bytes]) -> bytes:
    return encoded_long(len(values)) + b"".join(encoded_long(key) + value for key, value in values.items()) + b"\0"


def _text(data: bytes) -> bytes:
    return encoded_long(len(data)) + data


def _deflate(data: Any) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()
