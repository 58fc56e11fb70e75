"""Flat columns of one row group: their chunks' bytes -> Arrow arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.parquet.native.binding import Chunk, thread_worker
from lakeflow_io.parquet.native.codecs import CODECS
from lakeflow_io.parquet.native.flat import BYTES
from lakeflow_io.parquet.native.pool import buffer_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.parquet.native.binding import Worker
    from lakeflow_io.parquet.native.codecs import Codec
    from lakeflow_io.parquet.native.flat import FlatColumn
    from lakeflow_io.parquet.ranges import ColumnChunk

__all__ = ["decode_chunks"]

_MOST = 2**31 - 1  # rows, and bytes of text: 32-bit offsets end there


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
    if worker is None or not 0 <= rows <= _MOST:
        return found
    by_codec: dict[str, list[int]] = {}
    for position, (_, chunk, _) in enumerate(jobs):
        by_codec.setdefault(chunk.codec, []).append(position)
    for name, positions in by_codec.items():  # in practice one
        codec = CODECS.get(name)
        if codec is None:
            continue
        try:
            made = _decode(worker, [jobs[position] for position in positions], rows, codec)
        except MemoryError:  # what pyarrow makes of it tells a lie of the footer from a machine that is full
            continue
        for position, array in zip(positions, made, strict=True):
            found[position] = array
    return found


def _decode(
    worker: Worker, jobs: Sequence[tuple[FlatColumn, ColumnChunk, memoryview]], rows: int, codec: Codec
) -> list[pa.Array | None]:
    pool = buffer_pool()
    calls = (Chunk * len(jobs))()
    kept = []
    texts: list[Any] = []
    for index, (column, chunk, data) in enumerate(jobs):
        source = pa.py_buffer(data)
        validity = pa.allocate_buffer((rows + 7) // 8, pool) if column.optional else None
        values = pa.allocate_buffer(column.values_size(rows), pool)
        # Plain text is never more than this; what a dictionary expands to is found out on the way.
        likely = min(max(chunk.uncompressed, 0), _MOST)
        text = pa.allocate_buffer(likely, pool, resizable=True) if column.output == BYTES else None
        kept.append((source, validity, values))
        texts.append(text)
        call = calls[index]
        call.bytes, call.size, call.rows = source.address, source.size, rows
        call.uncompressed_limit = max(chunk.uncompressed, chunk.length)
        call.physical, call.width, call.codec = column.physical, column.width, codec.number
        call.optional, call.output, call.check_crc = column.optional, column.output, 1
        call.validity = validity.address if validity is not None else None
        call.values, call.values_size = values.address, values.size
        if text is not None:
            call.data, call.data_capacity = text.address, text.size
        call.grow, call.decompress, call.index = worker.grow, worker.decompress, index
    worker.decode(calls, texts, codec.decompress)
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
