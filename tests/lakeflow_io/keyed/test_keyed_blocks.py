"""Blocks of mapped files and their checksums."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.keyed.blocks import BLOCK_BYTES, Blocks, Layouts, block_sums

ROWS = 4000
"""Of some bytes each: every buffer but that of one bit a value has several blocks."""


def column(kind: pa.DataType, value: Any) -> pa.Array:
    """Values of a type, with every seventh one null."""
    return pa.array([None if row % 7 == 3 else value(row) for row in range(ROWS)], kind)


COLUMNS = {
    "bools": column(pa.bool_(), lambda row: row % 3 == 0),
    "bytes": column(pa.int8(), lambda row: row % 100),
    "words": pa.array(np.arange(ROWS)),
    "halves": column(pa.float16(), np.float16),
    "decimals": column(pa.decimal128(20, 2), lambda row: row),
    "fixed": column(pa.binary(5), lambda row: b"%05d" % row),
    "texts": pa.array([str(row) * (row % 9) for row in range(ROWS)]),
    "wide": column(pa.large_binary(), lambda row: b"x" * (row % 50)),
    "lists": column(pa.list_(pa.string()), lambda row: [str(row)] * (row % 4)),
    "wide lists": column(pa.large_list(pa.int16()), lambda row: [row] * (row % 5)),
    "three": column(pa.list_(pa.int32(), 3), lambda row: [row, None, row]),
    "structs": column(pa.struct({"a": pa.int64(), "b": pa.list_(pa.bool_())}), lambda row: {"a": row, "b": [True] * 3}),
    "maps": column(pa.map_(pa.string(), pa.int64()), lambda row: {"k": row, "l": None}),
    "times": column(pa.month_day_nano_interval(), lambda row: (row, 1, 2)),
    "nothing": pa.nulls(ROWS),
    "only nulls": pa.nulls(ROWS, pa.list_(pa.int64())),
}
FILE = pa.BufferOutputStream()
with pa.ipc.new_file(FILE, pa.table(COLUMNS).schema) as _writer:
    _writer.write_table(pa.table(COLUMNS))
BYTES = FILE.getvalue().to_pybytes()
SUMS = block_sums(BYTES)


def blocks_of(data: bytes) -> Blocks:
    """The blocks of a file of which the checksums are those of `BYTES`."""
    return Blocks(pa.py_buffer(data), SUMS, lambda start, end: CorruptFileError(f"{start} to {end}"))


def opened(data: bytes) -> tuple[pa.RecordBatch, Blocks, Layouts]:
    """A batch, its blocks, and how it lies in them."""
    buffer = pa.py_buffer(data)
    batch = pa.ipc.open_file(buffer).get_batch(0)
    return batch, Blocks(buffer, SUMS, lambda start, end: CorruptFileError(f"{start} to {end}")), Layouts(batch.columns)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 10_000])
def test_each_block_has_a_crc(size: int) -> None:
    """It is zlib's, of 4 KiB each, and of what is left."""
    data = np.random.default_rng(size).bytes(size)

    expected = [zlib.crc32(data[start : start + BLOCK_BYTES]) for start in range(0, size, BLOCK_BYTES)]
    assert block_sums(data).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(row=st.integers(0, ROWS - 1), name=st.sampled_from(list(COLUMNS)), many=st.sampled_from(["one", "many"]))
def test_what_is_checked_is_all_that_is_read(row: int, name: str, many: str) -> None:
    """With every block damaged that wasn't compared, a value of any type is what it was."""
    batch, blocks, layouts = opened(BYTES)
    number = batch.schema.get_field_index(name)
    if many == "many":
        layouts.check_rows(blocks, np.array([row]), [number])
    else:
        layouts.check_row(blocks, row, [number])
    compared = np.unpackbits(blocks._seen.view(np.uint8), bitorder="little")[: len(SUMS)].astype(bool)
    starts = [buffer.address for each in batch.columns for buffer in each.buffers() if buffer and buffer.size]
    body = slice(min(starts) - blocks.address, BYTES.rindex(b"\xff\xff\xff\xff\0\0\0\0"))  # not what Arrow opens it by

    damaged = np.frombuffer(BYTES, np.uint8).copy()
    others = np.repeat(~compared, BLOCK_BYTES)[: len(damaged)]
    damaged[body] ^= others[body].astype(np.uint8) * 0x55
    seen = pa.ipc.open_file(pa.py_buffer(damaged)).get_batch(0).column(number)

    assert compared.sum() <= 12
    assert seen.slice(row, 1).to_pylist() == COLUMNS[name].slice(row, 1).to_pylist()


@pytest.mark.usefixtures("compiled")
def test_a_damaged_block_is_named_each_time() -> None:
    """By its bytes, as often as it is touched; the others are read on."""
    damaged = bytearray(BYTES)
    damaged[BLOCK_BYTES * 3 + 100] ^= 1
    blocks = blocks_of(bytes(damaged))

    for _ in range(2):
        with pytest.raises(CorruptFileError, match=f"{BLOCK_BYTES * 3} to {BLOCK_BYTES * 4}"):
            blocks.check(BLOCK_BYTES * 4 - 1, BLOCK_BYTES * 4 + 1)
        with pytest.raises(CorruptFileError, match=f"{BLOCK_BYTES * 3} to {BLOCK_BYTES * 4}"):
            blocks.check_all()
    blocks.check(0, BLOCK_BYTES * 3)
    blocks.check(BLOCK_BYTES * 4, len(damaged))


def test_offsets_may_point_anywhere() -> None:
    """What lies outside of the file isn't read, whatever an offset says."""
    texts = pa.record_batch({"t": ["one", "two"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, texts.schema) as writer:
        writer.write_batch(texts)
    data = bytearray(sink.getvalue().to_pybytes())
    at = data.index(b"\x00\x00\x00\x00\x03\x00\x00\x00\x06\x00\x00\x00")
    data[at + 4 : at + 8] = (2**31 - 1).to_bytes(4, "little")
    buffer = pa.py_buffer(bytes(data))
    batch = pa.ipc.open_file(buffer).get_batch(0)
    blocks = Blocks(buffer, block_sums(data), lambda start, end: CorruptFileError(f"{start} to {end}"))

    with pytest.raises(CorruptFileError, match=f"0 to {len(data)}"):
        Layouts(batch.columns).check_row(blocks, 0)
