"""A page decompresses to just the size that it states, or its chunk isn't decoded."""

from __future__ import annotations

import ctypes
import random
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.parquet.native.binding import _use_zstd, library
from lakeflow_io.parquet.native.codecs import CODECS

CODEC_NAMES = ["snappy", "zstd", "gzip", "brotli", "lz4"]
# Zstandard comes in two ways: by the system's library, else by pyarrow's.
WAYS = [*CODEC_NAMES, "zstd of pyarrow"]
# Behind a page, where the decoder may write.
SLACK = 64


def decompressed(way: str, data: bytes, size: int) -> bytes | None:
    """What a chunk's decoding would see of a page."""
    out = ctypes.create_string_buffer(size + SLACK)
    arguments = [data, ctypes.c_int64(len(data)), out, ctypes.c_int64(size)]
    if way in ("snappy", "lz4"):
        done = getattr(library(), f"lf_{way}")(*arguments)
    elif way == "zstd" and library().lf_has_zstd():
        context = ctypes.c_void_p()
        done = library().lf_zstd(ctypes.byref(context), *arguments)
        library().lf_zstd_release(context)
    else:
        decompress = CODECS[way.split(maxsplit=1)[0].upper()].decompress
        assert decompress is not None
        try:
            done = decompress(pa.py_buffer(data), ctypes.addressof(out), size)
        except (OSError, ValueError):
            done = False
    return out.raw[:size] if done else None


def compressed(way: str, data: bytes) -> bytes:
    name = way.split(maxsplit=1)[0]
    return bytes(pa.Codec("lz4_raw" if name == "lz4" else name).compress(data, asbytes=True))


@given(
    parts=st.lists(st.binary(max_size=70) | st.sampled_from([b"ab", b"abcdefgh", b"\0"]), max_size=40),
    repeat=st.integers(1, 50),
    way=st.sampled_from(WAYS),
)
def test_what_was_compressed_comes_back(parts: list[bytes], repeat: int, way: str) -> None:
    """Literals and matches of every length and distance; and no other size than the true one is accepted."""
    data = b"".join(part * repeat for part in parts)[:100_000] or b"x"
    packed = compressed(way, data)

    assert decompressed(way, packed, len(data)) == data
    assert decompressed(way, packed, len(data) + 1) is None
    assert decompressed(way, packed, len(data) - 1) is None


def test_zstandard_without_the_systems_library(written: Any, natively: Any) -> None:
    """Pyarrow's copy decompresses the pages then; the column is decoded natively all the same."""
    table = pa.table({"c": [f"text {i % 99}" for i in range(5000)]})
    file = written(table, compression="zstd", data_page_size=1000)
    library().lf_use_zstd(None, None, None)

    try:
        found = natively(file)["c"]
    finally:
        _use_zstd(library())

    assert table["c"].chunk(0).equals(found)


@pytest.mark.parametrize("size", [*range(40), 63, 64, 65, 127, 128, 129, 143, 144, 200, 1000, 4096, 100_001])
def test_checksums_are_zlibs(size: int) -> None:
    """CRC-32 of any length at any alignment, on processors with carry-less multiplication and in short pages."""
    data = random.Random(size).randbytes(size + 8)
    checksum = library().lf_crc32
    checksum.restype = ctypes.c_uint32
    memory = ctypes.create_string_buffer(data, len(data))

    for offset in range(8):
        start = ctypes.c_void_p(ctypes.addressof(memory) + offset)
        assert checksum(start, ctypes.c_int64(size)) == zlib.crc32(data[offset : offset + size])


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_a_wrong_checksum_is_left_to_pyarrow(codec: str, written: Any, natively: Any) -> None:
    """A flipped bit in a page's body isn't decoded; pyarrow then names what is wrong."""
    file = written(pa.table({"c": list(range(9999))}), compression=codec, write_page_checksum=True)
    chunk = pq.read_metadata(pa.BufferReader(file)).row_group(0).column(0)
    assert chunk.total_compressed_size > 200

    def flip(data: bytes) -> bytes:
        return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]

    assert natively(file)["c"] is not None
    assert natively(file, change=flip)["c"] is None
