"""Files of one row group, and the compiled decoder alone: what it leaves to pyarrow comes back as None."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.parquet.footer import parse_footer
from lakeflow_io.parquet.layout import file_layout
from lakeflow_io.parquet.native.column import decode_chunks
from lakeflow_io.parquet.ranges import column_chunks


def _written(data: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, **{"store_schema": False, "row_group_size": max(data.num_rows, 1)} | options)
    return bytes(sink.getvalue())


def _natively(file: bytes, group: int = 0, change: Any = None) -> dict[str, pa.Array | None]:
    footer = parse_footer("memory", len(file), memoryview(file))
    layout = file_layout(footer)
    rows = footer.metadata.row_group(group)
    jobs = []
    for name, flat in layout.flat.items():
        [chunk] = column_chunks(rows, layout.leaves[name])
        data = memoryview(file)[chunk.start : chunk.end]
        jobs.append((flat, chunk, data if change is None else memoryview(change(bytes(data)))))
    decoded = dict(zip(layout.flat, decode_chunks(jobs, rows.num_rows), strict=True))
    return {name: decoded.get(name) for name in layout.schema.names}


def _identical(expected: pa.Array, found: pa.Array) -> bool:
    if isinstance(expected, pa.ExtensionArray):  # UUIDs: pyarrow wraps the bytes
        expected = expected.storage
    if pa.types.is_floating(expected.type):  # NaN is not equal to itself, and one NaN is not another
        bits = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[expected.type.bit_width]
        return expected.type == found.type and expected.view(bits).equals(found.view(bits))
    return expected.type == found.type and expected.equals(found)


@pytest.fixture(scope="session")
def written() -> Any:
    """`written(table, **options)`: the bytes of a file that pyarrow writes, in one row group."""
    return _written


@pytest.fixture(scope="session")
def natively() -> Any:
    """`natively(file, group=0, change=None)`: arrays by column name; None where pyarrow has to decode."""
    return _natively


@pytest.fixture(scope="session")
def identical() -> Any:
    """`identical(expected, found)`: one type, and the same values bit for bit."""
    return _identical
