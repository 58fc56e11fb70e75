"""A damaged, cut, replaced or missing ORC or Avro file is one error of ours that names it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from encoded import with_footer
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import CorruptFileError, DataError, ObjectNotFoundError, UnsupportedError
from lakeflow_io.orc.tail import read_tail

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["ORC", "AVRO"]
SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("l", pa.list_(pa.int32()))])


def rows_of(count: int) -> pa.Table:
    """Rows whose texts repeat."""
    return pa.table(
        {
            "id": range(count),
            "text": [f"text {each % 7}" for each in range(count)],
            "l": [[each] * (each % 3) if each % 5 else None for each in range(count)],
        },
        schema=SCHEMA,
    )


@pytest.fixture
def files(memory_files: Callable[..., Any]) -> Any:
    """A small file of each format."""
    made = memory_files(SCHEMA)
    for kind in KINDS:
        made.put(kind, rows_of(100), group=40)
    return made


def piece_of(files: Any, kind: str) -> Any:
    """The file of a format."""
    return files.pieces[KINDS.index(kind)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [0, 1, 3, 50, 0.5, 0.9, -1])
def test_a_truncated_file_is_named(files: Any, kind: str, left: float) -> None:
    """Wherever it was cut, by what the store says of its size."""
    piece = piece_of(files, kind)
    data = files.transport.objects[piece.path]
    files.transport.objects[piece.path] = data[: int(left * len(data)) if 0 < left < 1 else int(left)]

    with pytest.raises(CorruptFileError, match=piece.path):
        files.read(pieces=[piece])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [0, 1, 3, 50, 0.5, 0.9, -1])
def test_a_file_that_was_committed_truncated(files: Any, kind: str, left: float) -> None:
    """Its manifest has the short size: the file itself tells."""
    data = files.transport.objects[piece_of(files, kind).path]
    cut = data[: int(left * len(data)) if 0 < left < 1 else int(left)]
    uri = f"memory://tests/data/cut.{kind.lower()}"
    files.transport.objects[uri] = cut
    piece = replace(piece_of(files, kind), path=uri, file_size=len(cut), end=len(cut), splits=())

    with pytest.raises(CorruptFileError, match=uri):
        files.read(pieces=[piece])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_format_is_named(files: Any, kind: str) -> None:
    """A manifest that says the wrong format, or a file that was replaced."""
    piece = replace(piece_of(files, kind), format=KINDS[1 - KINDS.index(kind)])

    with pytest.raises(CorruptFileError, match=piece.path):
        files.read(pieces=[piece])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_named(files: Any, kind: str) -> None:
    """It is the store's failure."""
    piece = piece_of(files, kind)
    del files.transport.objects[piece.path]

    with pytest.raises(ObjectNotFoundError, match=piece.path):
        files.read(pieces=[piece])


def test_an_encrypted_avro_file_is_refused(files: Any) -> None:
    """As Iceberg encrypts whole files."""
    piece = piece_of(files, "AVRO")
    data = files.transport.objects[piece.path]
    files.transport.objects[piece.path] = b"AGS1" + data[4:]

    with pytest.raises(UnsupportedError, match=rf"{piece.path} is encrypted"):
        files.read(pieces=[piece])


def test_an_orc_file_with_encrypted_columns_is_refused(files: Any) -> None:
    """Its footer has a part about encryption, which pyarrow doesn't look at."""
    piece = piece_of(files, "ORC")
    made = with_footer(files.transport.objects[piece.path], lambda footer: footer + bytes([10 << 3 | 2, 2, 8, 1]))
    files.transport.objects[piece.path] = made
    with pytest.raises(UnsupportedError, match=rf"{piece.path} has encrypted columns"):
        files.read(pieces=[replace(piece, file_size=len(made), end=len(made))])


@given(data=st.data())
def test_damage_to_avro_never_leaves_the_exception_tree(files: Any, data: st.DataObject) -> None:
    """Bytes overwritten anywhere give as many rows as before, or a DataError that names the file."""
    piece = piece_of(files, "AVRO")
    original = files.transport.objects[piece.path]
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    files.transport.objects[piece.path] = bytes(damaged)

    found, error = outcome(lambda: files.read(pieces=[piece]))

    files.transport.objects[piece.path] = original
    if error is None:
        assert found.num_rows == 100
    else:
        assert piece.path in error.message
        assert error.message.endswith("for tests@1")


def outcome(read: Callable[[], Any]) -> tuple[Any, DataError | None]:
    """What is read, or an error of ours; any other is raised."""
    try:
        return read(), None
    except DataError as error:
        return None, error


@pytest.mark.parametrize("seed", range(4))
def test_damage_to_the_tail_of_orc_never_leaves_the_exception_tree(files: Any, seed: int) -> None:
    """The same for what is looked at before pyarrow is handed anything."""
    random = np.random.default_rng(seed)
    piece = piece_of(files, "ORC")
    original = files.transport.objects[piece.path]
    start = max(stripe.where.end for stripe in read_tail("", len(original), memoryview(original)))

    for _ in range(200):
        damaged = bytearray(original)
        damaged[int(random.integers(start, len(damaged)))] = int(random.integers(0, 256))
        _, error = outcome(partial(read_tail, piece.path, len(damaged), memoryview(damaged)))
        assert error is None or piece.path in error.message
