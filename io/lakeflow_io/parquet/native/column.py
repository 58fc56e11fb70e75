"""One flat column of a row group: its chunk's bytes -> an Arrow array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.parquet.native.binding import Chunk, thread_worker
from lakeflow_io.parquet.native.pool import buffer_pool

if TYPE_CHECKING:
    from lakeflow_io.parquet.native.binding import Worker

__all__ = ["FlatColumn", "decode_chunk", "flat_column"]

# Physical types, codecs and outputs as decoder.h numbers them.
_PHYSICAL = {"BOOLEAN": 0, "INT32": 1, "INT64": 2, "FLOAT": 4, "DOUBLE": 5, "BYTE_ARRAY": 6, "FIXED_LEN_BYTE_ARRAY": 7}
_COPY, _DECIMAL, _BITS, _BYTES = range(4)
# pyarrow names of the codecs that C hands back to be decompressed; None: it does so itself.
_CODECS = {
    "UNCOMPRESSED": (0, None), "SNAPPY": (1, None), "GZIP": (2, "gzip"), "BROTLI": (4, "brotli"),
    "ZSTD": (6, "zstd"), "LZ4_RAW": (7, "lz4_raw"),
}  # fmt: skip
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


def decode_chunk(column: FlatColumn, chunk: Any, rows: int, data: memoryview) -> pa.Array | None:
    """Decode one column chunk.

    Args:
        column: From `flat_column`.
        chunk: Its `pyarrow.parquet.ColumnChunkMetaData`.
        rows: Of the row group.
        data: The chunk's bytes, dictionary page first.

    Returns:
        The array; None where the chunk has to be decoded (or refused) by pyarrow: an encoding or a
        codec that isn't handled here, more than 2 GiB of text, damage.
    """
    worker = thread_worker()
    codec = _CODECS.get(chunk.compression)
    return None if worker is None or codec is None else _decode(worker, column, chunk, rows, data, codec)


def _decode(
    worker: Worker, column: FlatColumn, chunk: Any, rows: int, data: memoryview, codec: tuple[int, str | None]
) -> pa.Array | None:
    source = pa.py_buffer(data)
    pool = buffer_pool()
    validity = pa.allocate_buffer((rows + 7) // 8, pool) if column.optional else None
    values = pa.allocate_buffer(_values_size(column, rows), pool)
    call = Chunk(
        bytes=source.address,
        size=source.size,
        rows=rows,
        uncompressed_limit=max(chunk.total_uncompressed_size, chunk.total_compressed_size),
        physical=column.physical,
        width=column.width,
        codec=codec[0],
        optional=column.optional,
        output=column.output,
        check_crc=1,
        validity=validity.address if validity is not None else None,
        values=values.address,
    )
    done, text = worker.decode(call, pa.Codec(codec[1]) if codec[1] else None)
    if not done:
        return None
    buffers = [validity if call.nulls else None, values]
    if column.output == _BYTES:
        if text is None:
            text = pa.py_buffer(b"")
        else:
            text.resize(call.data_bytes, shrink_to_fit=True)
        buffers.append(text)
    return pa.Array.from_buffers(column.type, rows, buffers, null_count=call.nulls)


def _values_size(column: FlatColumn, rows: int) -> int:
    if column.output == _BYTES:
        return (rows + 1) * 4
    if column.output == _BITS:
        return (rows + 7) // 8
    if column.output == _DECIMAL:
        return rows * 16
    return rows * (column.width or column.type.bit_width // 8)
