"""One flat column of a row group: its chunk's bytes -> an Arrow array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.parquet.native.binding import Chunk, thread_worker
from lakeflow_io.parquet.native.codecs import CODECS
from lakeflow_io.parquet.native.flat import BYTES
from lakeflow_io.parquet.native.pool import buffer_pool

if TYPE_CHECKING:
    from lakeflow_io.parquet.native.binding import Worker
    from lakeflow_io.parquet.native.codecs import Codec
    from lakeflow_io.parquet.native.flat import FlatColumn

__all__ = ["decode_chunk"]


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
    codec = CODECS.get(chunk.compression)
    # A row group and its chunk that don't agree are damage, and memory is taken for as many rows as are claimed.
    if worker is None or codec is None or chunk.num_values != rows or not data.nbytes:
        return None
    try:
        return _decode(worker, column, chunk, rows, data, codec)
    except MemoryError:  # perhaps only claimed to be that large
        return None


def _decode(
    worker: Worker, column: FlatColumn, chunk: Any, rows: int, data: memoryview, codec: Codec
) -> pa.Array | None:
    source = pa.py_buffer(data)
    pool = buffer_pool()
    validity = pa.allocate_buffer((rows + 7) // 8, pool) if column.optional else None
    values = pa.allocate_buffer(column.values_size(rows), pool)
    call = Chunk(
        bytes=source.address,
        size=source.size,
        rows=rows,
        uncompressed_limit=max(chunk.total_uncompressed_size, chunk.total_compressed_size),
        physical=column.physical,
        width=column.width,
        codec=codec.number,
        optional=column.optional,
        output=column.output,
        check_crc=1,
        validity=validity.address if validity is not None else None,
        values=values.address,
    )
    status, text = worker.decode(call, codec.decompress)
    if status:
        return None
    buffers = [validity if call.nulls else None, values]
    if column.output == BYTES:
        if text is None:
            text = pa.py_buffer(b"")
        else:
            text.resize(call.data_bytes, shrink_to_fit=True)
        buffers.append(text)
    return pa.Array.from_buffers(column.type, rows, buffers, null_count=call.nulls)
