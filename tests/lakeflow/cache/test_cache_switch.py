"""What a request does when it meets another version: little, of which nothing stays behind."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lakeflow.cache import Cache
from lakeflow.cache.files.durable import read_small
from lakeflow.cache.files.turns import mapped_turns
from lakeflow.cache.reading.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator

NESTED = pa.array([[{"x": 1}], None], pa.list_(pa.struct({"x": pa.int32()})))
ROWS = pa.table({"id": [1, 2], "name": ["a", "b"], "nested": NESTED})


@pytest.fixture
def collected() -> Iterator[None]:
    """Without the garbage collector, which may come at any time."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("key", ["id", "name", ["id", "name"]], ids=str)
def test_the_version_before_is_unmapped_at_once(tmp_path: Path, key: str | list[str]) -> None:
    """It isn't left to the garbage collector, which may come late: its files' room on the disk would stay as long."""
    writer, reader = Cache("scores", tmp_path, keep=1), Cache("scores", tmp_path)
    asked = (1, "a") if isinstance(key, list) else ROWS[key][0].as_py()
    version = None
    for _ in range(3):
        version = writer.load(ROWS, key=key).id
        assert reader.get(asked) == ROWS.slice(0, 1).to_pylist()[0]
        assert reader.get_many([asked])["found"].to_pylist() == [True]

    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]

    assert {part for line in mapped for part in Path(line.split()[5]).parts if part.startswith("20")} == {version}


def test_a_version_with_other_columns_is_not_taken_for_one_before(tmp_path: Path) -> None:
    """What schemas tell is carried over from one version to the next, where they are the same, and only there."""
    writer, reader = Cache("scores", tmp_path), Cache("scores", tmp_path)
    for rows in (ROWS, ROWS.select(["id"]), ROWS.append_column("new", pa.array([1, 2])), ROWS):
        writer.load(rows, key="id")

        assert reader.get_many([1]).drop_columns("found").equals(rows.slice(0, 1))

    writer.load(ROWS, key="name")

    assert reader.get("b") == ROWS.slice(1, 1).to_pylist()[0]


def test_schemas_that_are_equal_but_for_metadata_are_told_apart() -> None:
    """Arrow says that they are equal."""
    plain = pa.schema([pa.field("id", pa.int64()), pa.field("x", pa.int64())])
    noted = pa.schema([plain.field("id"), pa.field("x", pa.int64(), metadata={"unit": "m"})])
    assert plain == noted

    described = [shape_of(schema, "id").whole.schema.field("x").metadata for schema in (plain, noted, plain)]

    assert described == [None, {b"unit": b"m"}, None]


def test_the_number_is_mapped_once_and_anew_in_another_folder(tmp_path: Path) -> None:
    """A folder may be replaced as a whole: its number is another file, whatever it says."""
    path = tmp_path / "turns"
    path.write_bytes(bytes(8))
    first = mapped_turns(path)

    assert mapped_turns(path, first) is first
    path.unlink()
    assert mapped_turns(path, first) is None
    path.write_bytes(bytes([2, *bytes(7)]))

    second = mapped_turns(path, first)

    assert second is not None
    assert first is not None
    assert (first.number[0], second.number[0]) == (0, 2)


def test_a_file_that_comes_in_parts_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may return less than it was asked for; one that is shorter by now ends early."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    read = os.read
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 7)))

    assert read_small(path)[0] == bytes(range(100))

    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 7)) if os.lseek(file, 0, 1) < 70 else b"")

    assert read_small(path)[0] == bytes(range(70))
