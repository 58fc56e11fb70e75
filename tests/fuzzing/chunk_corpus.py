"""Chunks of Parquet files of every type, encoding and codec, and footers, as chunks.c reads them."""

from __future__ import annotations

import io
import itertools
import struct
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.parquet.native.codecs import CODECS
from lakeflow_io.parquet.native.flat import flat_column
from lakeflow_io.parquet.ranges import column_chunks

ROWS = 300
# The driver's own codec copies: pages of ZSTD's number that aren't compressed.
ZSTD = CODECS["ZSTD"].number
FOOTER = -1  # as chunks.c has it


def values(rows: int) -> dict[str, list[object]]:
    """A column of each kind, with repeats, runs and spread."""
    numbers = [(i * 7919) % 251 - 100 if i % 3 else 5 for i in range(rows)]
    return {
        "b": [n % 3 == 0 for n in numbers],
        "i8": [max(n, -100) % 128 for n in numbers],
        "i32": numbers,
        "i64": [n * 1_000_003 for n in numbers],
        "f64": [n / 7 for n in numbers],
        "d": [Decimal(n).scaleb(-2) for n in numbers],
        "fixed": [b"%07d" % (n % 40) for n in numbers],
        "s": [f"text {n % 50} " * (n % 5) for n in numbers],
    }


TYPES = {
    "b": pa.bool_(), "i8": pa.int8(), "i32": pa.int32(), "i64": pa.int64(), "f64": pa.float64(),
    "d": pa.decimal128(12, 2), "fixed": pa.binary(7), "s": pa.string(),
}  # fmt: skip
ENCODINGS = {
    "b": ["RLE"],
    "i8": ["DELTA_BINARY_PACKED"],
    "i32": ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
    "i64": ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
    "f64": ["BYTE_STREAM_SPLIT"],
    "d": ["BYTE_STREAM_SPLIT"],
    "fixed": ["BYTE_STREAM_SPLIT"],
    "s": ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
}


def sample(name: str, *, nulls: int, required: bool, **options: object) -> bytes:
    """One chunk."""
    data = values(ROWS)[name]
    if nulls:
        data = [None if i % nulls == 0 or 100 < i < 140 else value for i, value in enumerate(data)]
    field = pa.field(name, TYPES[name], nullable=not required)
    table = pa.table([pa.array(data, TYPES[name])], schema=pa.schema([field]))
    file = io.BytesIO()
    pq.write_table(table, file, data_page_size=512, write_batch_size=64, dictionary_pagesize_limit=1024, **options)
    metadata = pq.read_metadata(file)
    group = metadata.row_group(0)
    where, column = column_chunks(group, [0])[0], flat_column(metadata.schema.column(0))
    assert column is not None
    number = CODECS[group.column(0).compression].number
    # Twice what is true: lengths may be lied about without being refused at once.
    limit = 2 * group.column(0).total_uncompressed_size
    head = (where.length, ROWS, limit, column.physical, column.width, number, column.optional, column.output)
    return struct.pack("<8q", *head) + file.getvalue()[where.start : where.end]


def footer(groups: int) -> bytes:
    """A footer of flat and nested columns."""
    columns = {name: pa.array(data, TYPES[name]) for name, data in values(ROWS).items()}
    columns["list"] = pa.array([[i] * (i % 3) for i in range(ROWS)])
    columns["struct"] = pa.array([{"a": i, "b": [str(i)]} for i in range(ROWS)])
    columns["map"] = pa.array([[("key", i)] for i in range(ROWS)], pa.map_(pa.string(), pa.int32()))
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=ROWS // groups)
    data, leaves = file.getvalue(), pq.read_metadata(file).num_columns
    (length,) = struct.unpack("<I", data[-8:-4])
    return struct.pack("<8q", length, leaves, 0, FOOTER, 0, 0, 0, 0) + data[-8 - length : -8]


def corpus() -> bytes:
    """Chunks of every type, nullability, encoding, codec and page version, and footers, each often enough to be met."""
    found = [footer(groups) for groups in (1, 2, 3, 5) for _ in range(10)]
    for name, version, (nulls, required) in itertools.product(
        TYPES, ("1.0", "2.0"), [(0, True), (0, False), (3, False), (1, False)]
    ):
        for encoding, codec in itertools.product([None, "PLAIN", *ENCODINGS[name]], ("none", "snappy", "lz4")):
            options = {"use_dictionary": encoding is None and name != "b", "compression": codec}
            if encoding is not None:
                options["column_encoding"] = {name: encoding}
            found.append(
                sample(
                    name, nulls=nulls, required=required, data_page_version=version,
                    write_page_checksum=version == "2.0" and codec == "snappy", **options,
                )
            )  # fmt: skip
            if codec == "none":  # through a caller's codec
                found.append(found[-1][:40] + struct.pack("<q", ZSTD) + found[-1][48:])
    return b"".join(found)
