"""A damaged, truncated, replaced or missing file is named; none of its rows are believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.errors import (
    CorruptFileError,
    DataError,
    LakeflowError,
    ObjectNotFoundError,
    UnsupportedError,
)
from lakeflow_io.parquet.native.binding import library
from lakeflow_io.parquet.ranges import column_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


@pytest.fixture
def files(memory_files: Callable[..., Any]) -> Any:
    """A small file (read whole), and one of more than 1 MiB (read by ranges)."""
    random = np.random.default_rng(0)
    made = memory_files(SCHEMA, 50_000)
    made.add(pa.table({"id": list(range(1000)), "text": [f"row {each}" for each in range(1000)]}))
    texts = random.integers(0, 2**62, 100_000).astype(str)
    made.add(pa.table({"id": random.integers(0, 2**62, 100_000), "text": texts}))
    assert made.pieces[1].file_size > 1024 * 1024
    return made


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("part", [0.05, 0.3, 0.5, 0.9])
def test_a_flipped_byte_in_a_page_is_found(files: Any, which: int, part: float) -> None:
    """Page checksums catch a single changed bit anywhere in a column's data, whatever the codec."""
    piece = files.pieces[which]
    data = bytearray(files.transport.objects[piece.path])
    group = pq.read_metadata(pa.BufferReader(bytes(data))).row_group(0)
    chunk = column_chunks(group, [1])[0]
    data[chunk.start + int(chunk.length * part)] ^= 1
    files.transport.objects[piece.path] = bytes(data)

    with pytest.raises(CorruptFileError) as caught:
        files.read(pieces=[piece])

    assert re.search(rf"Where: row groups? [\d-]+ of {piece.path}, for tests@1$", caught.value.message)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("left", [0, 3, 100, 0.5, 0.99])
def test_a_truncated_file_is_named(files: Any, which: int, left: float) -> None:
    """Wherever a file was cut off, the scan says which file and stops."""
    piece = files.pieces[which]
    data = files.transport.objects[piece.path]
    files.transport.objects[piece.path] = data[: left if left > 1 else int(len(data) * left)]

    with pytest.raises(
        CorruptFileError, match=rf"(?s){piece.path}.*\nWhere: bytes \d+-\d+ of {piece.path}, for tests@1"
    ):
        files.read()


def test_a_replaced_file_is_named(files: Any) -> None:
    """Another Parquet file under the same name has another size, and is refused."""
    first, second = files.pieces
    files.transport.objects[first.path] = files.transport.objects[second.path]

    with pytest.raises(
        CorruptFileError, match=rf"(?s){first.path}.*\nWhere: bytes \d+-\d+ of {first.path}, for tests@1"
    ):
        files.read()


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_file_is_named(files: Any, which: int) -> None:
    """A file that metadata names and the store lost is the store's failure."""
    piece = files.pieces[which]
    del files.transport.objects[piece.path]

    with pytest.raises(ObjectNotFoundError, match=piece.path):
        files.read()


def test_a_file_without_field_ids_is_refused(files: Any) -> None:
    """Without ids and without a name mapping, columns could only be guessed by name."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [1], "text": ["x"]}), sink)
    piece = files.add_bytes("memory://tests/data/foreign.parquet", bytes(sink.getvalue()))

    with pytest.raises(UnsupportedError, match=piece.path) as caught:
        files.read(pieces=[piece])

    assert "schema.name-mapping.default" in caught.value.hint


def test_a_file_of_other_types_is_refused(files: Any, memory_files: Callable[..., Any]) -> None:
    """A column that holds text where the table has numbers is an error that names the file."""
    other = memory_files(pa.schema([("id", pa.string()), ("text", pa.string())]))
    piece = other.add(pa.table({"id": ["a"], "text": ["b"]}))
    files.transport.objects["memory://tests/odd.parquet"] = other.transport.objects[piece.path]
    odd = files.add_bytes("memory://tests/odd.parquet", other.transport.objects[piece.path])

    with pytest.raises(DataError, match=r"odd\.parquet"):
        files.read(pieces=[odd])


@pytest.mark.parametrize("seed", range(6))
def test_random_damage_never_leaves_the_exception_tree(files: Any, seed: int) -> None:
    """Bytes overwritten anywhere give the right rows or a DataError, and no other exception."""
    piece = files.pieces[0]
    good = files.read(pieces=[piece])
    original = files.transport.objects[piece.path]
    random = np.random.default_rng(seed)

    for _ in range(40):
        data = bytearray(original)
        at = int(random.integers(0, len(data) - 4))
        data[at : at + 4] = random.bytes(4)
        files.transport.objects[piece.path] = bytes(data)
        try:
            found = files.read(pieces=[piece])
        except DataError as error:
            named = piece.path in error.message
            assert named
        else:
            assert good.num_rows == found.num_rows or at > pages_end(original)


@pytest.mark.parametrize("lie", ["negative", "huge"])
@pytest.mark.parametrize(
    "field", ["data_page_offset", "total_compressed_size", "total_uncompressed_size", "num_values", "num_rows"]
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_footer_that_lies_is_named(files: Any, which: int, field: str, lie: str) -> None:
    """A column outside the file, a negative or a huge number: rows are right, or file and snapshot are named."""
    piece = files.pieces[which]
    good = files.read(pieces=[piece])
    data = files.transport.objects[piece.path]
    group = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    told = group.num_rows if field == "num_rows" else getattr(group.column(1), field)
    files.transport.objects[piece.path] = lying(data, told, lie)

    found = outcome(files, piece)

    assert found is None or good.equals(found)


@pytest.mark.skipif(library() is None, reason="pyarrow ends the process at what only the compiled decoder notices")
@pytest.mark.parametrize("seed", range(4))
def test_damage_to_a_footer_never_leaves_the_exception_tree(files: Any, seed: int) -> None:
    """It has no checksum: whatever one of its bytes is changed to, the error is ours and tells where."""
    piece = files.pieces[0]
    original = files.transport.objects[piece.path]
    random = np.random.default_rng(seed)
    start = pages_end(original)

    for _ in range(150):
        data = bytearray(original)
        data[int(random.integers(start, len(data) - 8))] = int(random.integers(0, 256))
        files.transport.objects[piece.path] = bytes(data)
        outcome(files, piece)


def outcome(files: Any, piece: Any) -> pa.Table | None:
    """The rows; None where the error is ours, is not taken for our mistake, and tells the file and the snapshot."""
    try:
        return files.read(pieces=[piece])
    except LakeflowError as error:
        caught = error
    assert isinstance(caught, DataError)
    assert piece.path in caught.message
    assert caught.message.endswith("for tests@1")
    return None


def test_an_encrypted_footer_is_named(files: Any) -> None:
    """It is refused as what it is, with the file, the bytes and the snapshot."""
    piece = files.pieces[1]
    files.transport.objects[piece.path] = files.transport.objects[piece.path][:-4] + b"PARE"

    with pytest.raises(UnsupportedError, match="encrypted") as caught:
        files.read(pieces=[piece])

    tail = f"bytes {piece.file_size - 65536}-{piece.file_size} of {piece.path}"
    assert caught.value.message.endswith(f"\nWhere: {tail}, for tests@1")


def lying(data: bytes, told: int, lie: str) -> bytes:
    """A file whose footer has another number in place of `told`, in as many bytes of Thrift's compact protocol."""
    start = pages_end(data)
    right = varint(2 * told)
    wrong = varint(2 * told - 1) if lie == "negative" else b"\xfe" + b"\xff" * (len(right) - 2) + b"\x7f"
    assert len(right) == len(wrong)
    assert right in data[start:]
    return data[:start] + data[start:].replace(right, wrong)


def varint(number: int) -> bytes:
    """An unsigned number, seven bits a byte, the lowest first."""
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def pages_end(data: bytes) -> int:
    """Where the footer's part of a file begins: it has no checksum of its own."""
    metadata = pq.read_metadata(pa.BufferReader(data))
    return max(
        chunk.end for i in range(metadata.num_row_groups) for chunk in column_chunks(metadata.row_group(i), [0, 1])
    )
