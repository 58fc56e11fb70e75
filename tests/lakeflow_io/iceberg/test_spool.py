"""Rows that are set aside: in memory or in a file, which is closed and gone at the end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import StoreFullError
from lakeflow_io.iceberg.spool import Spool

ROWS = pa.table({"x": range(1000)})


def opened(folder: Path) -> list[str]:
    """Files of a folder that this process has open."""
    targets = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # another thread has closed it since
            targets.append(str(each.readlink()))
    return [each for each in targets if str(folder) in each]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("memory", [0, 10_000, 1_000_000])
def test_all_rows_come_back(folder: Path, memory: int) -> None:
    """In their order, from wherever they are; then nothing is left."""
    with Spool(ROWS.schema, memory) as spool:
        for _ in range(3):
            spool.add(ROWS)
        found = spool.table()
        assert pa.concat_tables([ROWS] * 3).equals(found)
        assert bool(list(folder.iterdir())) == (memory < 3 * ROWS.nbytes)

    assert list(folder.iterdir()) == []


def test_a_block_that_raises_leaves_no_file_open(folder: Path) -> None:
    """Neither a file nor a handle, which would keep its bytes on the disk."""
    with suppress(ZeroDivisionError), Spool(ROWS.schema, 0) as spool:
        spool.add(ROWS)
        assert len(opened(folder)) == 1
        raise ZeroDivisionError

    assert (list(folder.iterdir()), opened(folder)) == ([], [])


def test_a_disk_that_is_full_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; the end of the block, which can't write the file's end either, says nothing more."""

    class Full:
        def __init__(self, *_: Any) -> None:
            pass

        def write_table(self, _: pa.Table) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa.ipc, "new_file", Full)

    with pytest.raises(StoreFullError, match="No space left"), Spool(ROWS.schema, 0) as spool:
        spool.add(ROWS)

    assert (list(folder.iterdir()), opened(folder)) == ([], [])
