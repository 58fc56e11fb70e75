"""One flat column of a row group: its chunk's bytes -> an Arrow array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.parquet.native.binding import Chunk, thread_worker
from lakeflow_io.parquet.native.pool import buffer_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.parquet.native.binding import Worker
    from lakeflow_io.parquet.ranges import ColumnChunk

__all__ = ["FlatColumn", "decode_chunks", "flat_column"]

# Physical types, codecs and outputs as decoder.h numbers them.
_PHYSICAL = {"BOOLEAN": 0, "INT32": 1, "INT64": 2, "FLOAT": 4, "DOUBLE": 5, "BYTE_ARRAY": 6, "FIXED_LEN_BYTE_ARRAY": 7}
_COPY, _DECIMAL, _BITS, _BYTES = range(4)
# The codec's number, and its name in pyarrow where C may have to hand it back. gzip, Brotli and LZ4 are left to
# pyarrow's reader: its codecs don't tell how many bytes came out, so a page that comes out short would go unnoticed.
_CODECS = {"UNCOMPRESSED": (0, None), "SNAPPY": (1, None), "ZSTD": (6, "zstd")}
_TIME_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """How the chunks of one column of a file decode; the same for all its row groups."""

    type: pa.DataType
    physical: int
    width: int
    optional: bool
    output: int


def flat_column(column: Any) -> FlatColumn | None:
    """How to decode a leaf column natively; None where pyarrow has to.

    Args:
        column: A `pyarrow.parquet.ColumnSchema`.
    """
    physical = _PHYSICAL.get(column.physical_type)
    if physical is None or column.max_repetition_level > 0 or column.max_definition_level > 1 or "." in column.path:
        return None
    found = _arrow_type(column)
    if found is None:
        return None
    kind, output = found
    return FlatColumn(kind, physical, column.length or 0, column.max_definition_level == 1, output)


def _arrow_type(column: Any) -> tuple[pa.DataType, int] | None:
    """The Arrow type of a column, and how its values are made."""
    physical, logical = column.physical_type, column.logical_type
    name = logical.type
    if name == "DECIMAL":
        fits = physical in ("INT32", "INT64") or (physical == "FIXED_LEN_BYTE_ARRAY" and column.length <= 16)  # noqa: PLR2004  (128 bits)
        return (pa.decimal128(column.precision, column.scale), _DECIMAL) if fits and column.precision <= 38 else None  # noqa: PLR2004  (digits of 128 bits)
    if name == "NONE":
        plain = {"BOOLEAN": pa.bool_(), "INT32": pa.int32(), "INT64": pa.int64(), "FLOAT": pa.float32(),
                 "DOUBLE": pa.float64(), "BYTE_ARRAY": pa.binary()}.get(physical)  # fmt: skip
        if physical == "FIXED_LEN_BYTE_ARRAY":
            plain = pa.binary(column.length)
        return None if plain is None else (plain, {"BOOLEAN": _BITS, "BYTE_ARRAY": _BYTES}.get(physical, _COPY))
    if (name, physical) == ("STRING", "BYTE_ARRAY"):
        return pa.string(), _BYTES
    if (name, physical) == ("UUID", "FIXED_LEN_BYTE_ARRAY"):
        return pa.binary(16), _COPY
    if (name, physical) == ("DATE", "INT32"):
        return pa.date32(), _COPY
    if name in ("TIMESTAMP", "TIME") and physical == "INT64":
        return _time_type(name, logical)
    if name == "INT" and '"bitWidth": 32, "isSigned": true' in logical.to_json():
        return pa.int32(), _COPY
    if name == "INT" and '"bitWidth": 64, "isSigned": true' in logical.to_json():
        return pa.int64(), _COPY
    return None


def _time_type(name: str, logical: Any) -> tuple[pa.DataType, int] | None:
    import json

    told = json.loads(logical.to_json())
    unit = _TIME_UNITS.get(told.get("timeUnit"))
    if unit is None:
        return None
    if name == "TIMESTAMP":
        return pa.timestamp(unit, "UTC" if told.get("isAdjustedToUTC") else None), _COPY
    return (pa.time64(unit), _COPY) if unit != "ms" else None


def decode_chunks(jobs: Sequence[tuple[FlatColumn, ColumnChunk, memoryview]], rows: int) -> list[pa.Array | None]:
    """Decode column chunks of one row group.

    Args:
        jobs: Each column, its chunk, and the chunk's bytes, dictionary page first.
        rows: Of the row group.

    Returns:
        An array each; None where the chunk has to be decoded (or refused) by pyarrow: an encoding or
        a codec that isn't handled here, more than 2 GiB of text, damage.
    """
    worker = thread_worker()
    found: list[pa.Array | None] = [None] * len(jobs)
    if worker is None:
        return found
    by_codec: dict[str, list[int]] = {}
    for position, (_, chunk, _) in enumerate(jobs):
        by_codec.setdefault(chunk.codec, []).append(position)
    for codec, positions in by_codec.items():  # in practice one
        if codec in _CODECS:
            made = _decode(worker, [jobs[position] for position in positions], rows, _CODECS[codec])
            for position, array in zip(positions, made, strict=True):
                found[position] = array
    return found


def _decode(
    worker: Worker,
    jobs: Sequence[tuple[FlatColumn, ColumnChunk, memoryview]],
    rows: int,
    codec: tuple[int, str | None],
) -> list[pa.Array | None]:
    pool = buffer_pool()
    calls = (Chunk * len(jobs))()
    kept = []
    texts: list[Any] = []
    for index, (column, chunk, data) in enumerate(jobs):
        source = pa.py_buffer(data)
        validity = pa.allocate_buffer((rows + 7) // 8, pool) if column.optional else None
        values = pa.allocate_buffer(_values_size(column, rows), pool)
        # Plain text is never more than this; what a dictionary expands to is found out on the way.
        text = pa.allocate_buffer(chunk.uncompressed, pool, resizable=True) if column.output == _BYTES else None
        kept.append((source, validity, values))
        texts.append(text)
        call = calls[index]
        call.bytes, call.size, call.rows = source.address, source.size, rows
        call.uncompressed_limit = max(chunk.uncompressed, chunk.length)
        call.physical, call.width, call.codec = column.physical, column.width, codec[0]
        call.optional, call.output, call.check_crc = column.optional, column.output, 1
        call.validity = validity.address if validity is not None else None
        call.values = values.address
        if text is not None:
            call.data, call.data_capacity = text.address, text.size
        call.grow, call.decompress, call.index = worker.grow, worker.decompress, index
    worker.decode(calls, texts, codec[1])
    found: list[pa.Array | None] = []
    for call, (column, _, _), (_, validity, values), text in zip(calls, jobs, kept, texts, strict=True):
        if call.status:
            found.append(None)
            continue
        buffers = [validity if call.nulls else None, values]
        if text is not None:
            text.resize(call.data_bytes, shrink_to_fit=True)
            buffers.append(text)
        found.append(pa.Array.from_buffers(column.type, rows, buffers, null_count=call.nulls))
    return found


def _values_size(column: FlatColumn, rows: int) -> int:
    if column.output == _BYTES:
        return (rows + 1) * 4
    if column.output == _BITS:
        return (rows + 7) // 8
    if column.output == _DECIMAL:
        return rows * 16
    return rows * (column.width or column.type.bit_width // 8)
