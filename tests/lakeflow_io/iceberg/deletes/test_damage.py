"""Delete files that are damaged, gone, or not what they claim to be: an error names them, and no row comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFileContent

from lakeflow_io.errors import CorruptFileError, LakeflowError, ObjectNotFoundError
from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.deletes.paths import same_object
from lakeflow_io.iceberg.deletes.positions import DeletedPositions
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64())])
ROWS = pa.table({"id": [1, 2, 3]})


def on_disk(file: Any) -> Path:
    """Where a file of a local table lies."""
    return Path(file.file_path.removeprefix("file://"))


@pytest.mark.parametrize("kind", ["positions", "keys"])
def test_a_file_that_is_gone_is_named(deleted_table: Callable[..., Any], kind: str) -> None:
    """Without a delete file nothing can be told of its data files."""
    table = deleted_table(SCHEMA)
    file = table.data(ROWS)
    table.commit(file)
    delete = table.positions([(file.file_path, 0)]) if kind == "positions" else table.keys({"id": [1]})
    table.commit(delete)
    on_disk(delete).unlink()

    with pytest.raises(ObjectNotFoundError, match=f"{kind if kind == 'positions' else 'equality'}.parquet"):
        table.rows()


@pytest.mark.parametrize("kind", ["positions", "keys"])
@pytest.mark.parametrize("damage", ["cut", "empty", "overwritten", "replaced"])
def test_a_damaged_file_is_named(deleted_table: Callable[..., Any], kind: str, damage: str) -> None:
    """Truncated, emptied, overwritten at its end, or another file of the same size."""
    table = deleted_table(SCHEMA)
    file = table.data(ROWS)
    table.commit(file)
    delete = table.positions([(file.file_path, 0)]) if kind == "positions" else table.keys({"id": [1]})
    table.commit(delete)
    data = on_disk(delete).read_bytes()
    made = {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "overwritten": data[:-20] + bytes(20),
        "replaced": b"PAR1" + bytes(len(data) - 8) + b"PAR1",
    }
    on_disk(delete).write_bytes(made[damage])

    with pytest.raises(CorruptFileError, match=r"(positions|equality)\.parquet") as caught:
        table.rows()

    assert table.table.name in caught.value.message


def positions_of(rows: pa.Table) -> DeletedPositions:
    """Decode a position delete file that holds these rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    return decoded(sink.getvalue().to_pybytes())


def decoded(data: bytes, rows: int = 0) -> DeletedPositions:
    """Decode a position delete file for one data file."""
    delete = DeleteFile("position", "s3://b/d.parquet", len(data), 1, rows)
    fetched = FetchedRanges("s3://b/d.parquet", [(ByteRange(0, len(data)), memoryview(data))])
    return DeletedPositions.of(delete, fetched, {same_object("s3://b/f")})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pa.table({"file_path": ["s3://b/f"], "pos": [-1]}), "deletes row -1"),
        (pa.table({"file_path": ["s3://b/f"], "pos": pa.array([None], pa.int64())}), "without a path or a position"),
        (pa.table({"file_path": pa.array([None], pa.string()), "pos": [1]}), "without a path or a position"),
        (pa.table({"file_path": ["s3://b/f"]}), "has no column pos"),
        (pa.table({"file_path": ["s3://b/f"], "pos": ["1"]}), "not paths and positions"),
    ],
)
def test_rows_that_mean_nothing_are_damage(rows: pa.Table, said: str) -> None:
    """A delete without a path or a position deletes nobody knows what."""
    with pytest.raises(CorruptFileError, match=said):
        positions_of(rows)


def test_columns_without_ids_are_found_by_name() -> None:
    """Some writers leave out the reserved field ids; other columns don't disturb."""
    found = positions_of(pa.table({"row": [0, 0], "pos": [7, 3], "file_path": ["s3a://b/f", "s3://b//f"]}))

    assert {name: rows.tolist() for name, rows in found.by_file.items()} == {same_object("s3://b/f"): [3, 7]}
    assert found.elsewhere == 0


def test_damage_loses_no_delete() -> None:
    """Two bits of each byte before the footer, one of each byte of it: an error of ours, or the same positions."""
    sink = pa.BufferOutputStream()
    rows = pa.table({"file_path": ["s3://b/f"] * 50 + ["s3://b/g"] * 50, "pos": [*range(50), *range(50)]})
    pq.write_table(rows, sink, row_group_size=30, write_page_checksum=True)
    whole = sink.getvalue().to_pybytes()
    expected = decoded(whole, 100).by_file
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")

    for at in range(len(whole)):
        for bit in (at % 8, (at + 3) % 8) if at < pages else (at % 8,):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            try:
                found = decoded(bytes(damaged), 100).by_file
            except LakeflowError:
                continue
            assert found.keys() == expected.keys(), (at, bit)
            assert all(np.array_equal(found[name], expected[name]) for name in found), (at, bit)


def test_a_vector_without_its_place_is_refused(deleted_table: Callable[..., Any]) -> None:
    """A manifest that names no blob, or no data file, leaves open what is deleted."""
    table = deleted_table(SCHEMA, version=3)
    file = table.data(ROWS)
    table.commit(file)
    (vector,) = table.vectors({file.file_path: [0]})
    vector[17] = None
    table.commit(vector)

    with pytest.raises(CorruptFileError, match=r"vectors\.puffin has no data file"):
        table.rows()


def test_a_vector_behind_its_files_end_is_refused(deleted_table: Callable[..., Any]) -> None:
    """Before anybody asks for terabytes."""
    table = deleted_table(SCHEMA, version=3)
    file = table.data(ROWS)
    table.commit(file)
    (vector,) = table.vectors({file.file_path: [0]})
    vector[19] = 2**40
    table.commit(vector)

    with pytest.raises(CorruptFileError, match=rf"ends at byte \d+ of {vector.file_size_in_bytes}"):
        table.rows()


def test_an_entry_without_a_sequence_number_is_refused(deleted_table: Callable[..., Any]) -> None:
    """What neither states a sequence number nor may inherit one can't be put in order."""
    from pyiceberg.manifest import ManifestEntryStatus

    table = deleted_table(SCHEMA)
    file = table.data(ROWS)
    table.commit(file)
    table.commit(table.positions([(file.file_path, 0)]), status=ManifestEntryStatus.EXISTING)

    with pytest.raises(CorruptFileError, match="no sequence number"):
        table.rows()


def test_content_of_the_wrong_kind(deleted_table: Callable[..., Any]) -> None:
    """A data file that a manifest calls a position delete file isn't one."""
    table = deleted_table(SCHEMA)
    file = table.data(ROWS)
    table.commit(file)
    table.commit(table.file(DataFileContent.POSITION_DELETES, file.file_path, file.file_size_in_bytes, 3))

    with pytest.raises(CorruptFileError, match=r"rows\.parquet: the delete file has no column file_path"):
        table.rows()
