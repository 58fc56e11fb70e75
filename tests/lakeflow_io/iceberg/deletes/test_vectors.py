"""Deletion vectors: every bitmap that Roaring's own library writes, and no damaged one."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyroaring
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.deletes.roaring import numbers_of
from lakeflow_io.iceberg.deletes.vectors import vector_positions

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = b"\xd1\xd3\x39\x64"


@st.composite
def bitmaps(draw: st.DrawFn) -> pyroaring.BitMap64:
    """Arrays, bit sets and runs, in one bitmap and in several."""
    bitmap = pyroaring.BitMap64(draw(st.lists(st.integers(0, 2**20) | st.integers(0, 2**40), max_size=30)))
    for _ in range(draw(st.integers(0, 5))):
        start, step = draw(st.integers(0, 2**34)), draw(st.integers(1, 20))
        bitmap |= pyroaring.BitMap64(range(start, start + step * draw(st.integers(1, 9000)), step))
    if draw(st.booleans()):
        bitmap.run_optimize()
    return bitmap


@given(bitmaps())
def test_every_container_is_decoded(bitmap: pyroaring.BitMap64) -> None:
    """The numbers are those that went in, ascending."""
    found = numbers_of(memoryview(bitmap.serialize()))

    assert found.tolist() == list(bitmap)


def test_full_containers() -> None:
    """65,536 numbers in a container, as a bit set and as one run."""
    for optimize in (False, True):
        bitmap = pyroaring.BitMap64(range(1 << 16, 3 << 16))
        if optimize:
            bitmap.run_optimize()

        found = numbers_of(memoryview(bitmap.serialize()))

        assert np.array_equal(found, np.arange(1 << 16, 3 << 16, dtype=np.uint64))


@given(bitmaps(), st.data())
def test_a_damaged_bitmap_never_raises_anything_else(bitmap: pyroaring.BitMap64, data: Any) -> None:
    """Cut or overwritten, it is a ValueError, or some numbers in order: the checksum is another matter."""
    encoded = bytearray(bitmap.serialize())
    at = data.draw(st.integers(0, len(encoded) - 1))
    if data.draw(st.booleans()):
        del encoded[at:]
    else:
        encoded[at] ^= data.draw(st.integers(1, 255))

    try:
        found = numbers_of(memoryview(bytes(encoded)))
    except ValueError:
        return
    assert (found[1:] > found[:-1]).all()


def blob(positions: list[int]) -> bytes:
    """As the specification has it."""
    body = MAGIC + pyroaring.BitMap64(positions).serialize()
    return struct.pack(">I", len(body)) + body + struct.pack(">I", zlib.crc32(body))


def vector(data: bytes, rows: int) -> DeleteFile:
    """What the manifest would say."""
    return DeleteFile("vector", "s3://b/v.puffin", 1000, 1, rows, "PUFFIN", 4, len(data))


@given(st.lists(st.integers(0, 2**33), min_size=1, unique=True), st.data())
def test_each_flipped_bit_of_a_blob_is_noticed(positions: list[int], data: Any) -> None:
    """Length, magic and checksum cover every byte; the error names the file and the bytes."""
    damaged = bytearray(blob(positions))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8

    with pytest.raises(CorruptFileError, match=rf"s3://b/v\.puffin: .* in bytes 4-{4 + len(damaged)} is damaged"):
        vector_positions(vector(damaged, len(positions)), memoryview(bytes(damaged)))


@pytest.mark.parametrize("cut", [0, 3, 4, 11, 12, 20])
def test_a_cut_blob_is_noticed(cut: int) -> None:
    """However little is left."""
    data = blob([1, 2, 3])[:cut]

    with pytest.raises(CorruptFileError, match="is damaged"):
        vector_positions(vector(data, 3), memoryview(data))


def test_the_manifests_cardinality_holds() -> None:
    """A vector of another snapshot, whole in itself, isn't the one that was meant."""
    data = blob([1, 2, 3])

    with pytest.raises(CorruptFileError, match="deletes 3 rows, and its manifest says 2"):
        vector_positions(vector(data, 2), memoryview(data))


def test_damage_in_the_store_stops_a_scan(deleted_table: Callable[..., Any]) -> None:
    """A Puffin file that was overwritten or truncated names itself, the bytes and the table; no row comes."""
    for damage in (lambda data: data[:20] + b"\xff" + data[21:], lambda data: data[:25]):
        table = deleted_table(pa.schema([("id", pa.int64())]), version=3)
        file = table.data(pa.table({"id": [1, 2, 3]}))
        vectors = table.vectors({file.file_path: [0]})
        table.commit(file, *vectors)
        path = vectors[0].file_path.removeprefix("file://")
        with open(path, "rb") as opened:  # noqa: PTH123
            data = opened.read()
        with open(path, "wb") as opened:  # noqa: PTH123
            opened.write(damage(data))

        with pytest.raises(CorruptFileError, match=r"vectors\.puffin") as caught:
            table.rows()

        assert table.table.name in caught.value.message
