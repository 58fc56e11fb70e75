"""A footer that was read once is not fetched again, and never stands in the way of the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import DataError
from lakeflow_io.reader import Counters
from lakeflow_io.storage import immutable

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Begin as a new process does, whose memory is empty."""

    def empty() -> None:
        monkeypatch.setattr(immutable, "_memory", immutable._Memory(2**20))

    return empty


@pytest.fixture
def files(memory_files: Any, tmp_path: Path, begin: Callable[[], None]) -> Any:
    """Three files of a table in a store that is far away."""
    begin()
    made = memory_files(pa.schema([("id", pa.int64()), ("text", pa.string())]), row_group=500)
    made.folder = "s3://bucket/data"
    made.store = {"lakeflow.metadata-cache.folder": str(tmp_path)}
    for first in (0, 1000, 2000):
        rows = range(first, first + 1000)
        made.add(pa.table({"id": pa.array(rows, pa.int64()), "text": [f"text {i}" for i in rows]}))
    return made


def read(files: Any, columns: list[str] | None = None, **options: Any) -> tuple[pa.Table, Counters]:
    """All rows, and what it took."""
    counters = Counters()
    return files.read(files.spec(columns), counters=counters, **options), counters


def test_the_next_scan_fetches_data_alone(files: Any, begin: Callable[[], None]) -> None:
    """In the same process and in the next one: the same rows, fewer bytes of a projection, no footers."""
    cold, first = read(files, ["id"])
    begin()
    for _ in range(2):
        warm, second = read(files, ["id"])

        assert warm.equals(cold)
        assert (first.footers_known, second.footers_known) == (0, 3)
        assert second.requests == 3
        assert second.bytes_fetched < first.bytes_fetched


def test_any_budget_will_do(files: Any) -> None:
    """Known footers and others come in turn, under a budget of nothing."""
    whole, _ = read(files)
    known = files.pieces[1]
    immutable._memory._kept.clear()
    Path(files.store["lakeflow.metadata-cache.folder"], "metadata-1.sqlite").unlink()
    read(files, pieces=[known])

    found, counters = read(files, memory=1)

    assert found.equals(whole)
    assert counters.footers_known == 1


def test_a_footer_that_does_not_decode_is_fetched(files: Any) -> None:
    """Rather than believed: it is forgotten, too."""
    whole, _ = read(files)
    for key in list(immutable._memory._kept):
        immutable._memory.put(key, b"no footer, by any means PAR1")

    found, counters = read(files)

    assert found.equals(whole)
    assert counters.footers_known == 0
    assert read(files)[1].footers_known == 3


def test_a_file_that_was_replaced_is_an_error_once(files: Any, memory_files: Any) -> None:
    """Which a table's file never is: the scan that meets it forgets what it knew."""
    read(files)
    other = memory_files(pa.schema([("id", pa.int64()), ("text", pa.string())]), row_group=100)
    other.add(pa.table({"id": pa.array(range(1000), pa.int64()), "text": [f"TEXT {i:04d}" for i in range(1000)]}))
    uri, size = files.pieces[0].path, files.pieces[0].file_size
    data = other.transport.objects[other.pieces[0].path]
    files.transport.objects[uri] = data + bytes(max(0, size - len(data)))

    with pytest.raises(DataError, match=uri):
        read(files)

    files.pieces[0] = replace(files.pieces[0], file_size=len(data), end=len(data))
    files.transport.objects[uri] = data
    found, counters = read(files)
    assert found.num_rows == 3000
    assert counters.footers_known == 0


def test_folders_remember_nothing(files: Any) -> None:
    """A plain file may be written again under its name."""
    for _ in range(2):
        counters = Counters()
        files.read(replace(files.spec(), match="name"), counters=counters)

        assert counters.footers_known == 0
