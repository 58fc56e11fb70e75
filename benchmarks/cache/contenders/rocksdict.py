"""RocksDB by rocksdict, values with msgpack."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rocksdict

from benchmarks.cache.contenders.packed import row, sorted_pairs, table
from benchmarks.cache.rows import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from benchmarks.cache.parts import Task

__all__ = ["PACKAGES", "SETTINGS", "loading", "reading"]

PACKAGES = ("rocksdict", "msgpack")
SETTINGS = "raw mode; sorted by Arrow, one SST file, moved in when it is ingested; multi-get"


def _options() -> rocksdict.Options:
    return rocksdict.Options(raw_mode=True)


@contextmanager
def loading(task: Task) -> Iterator[Callable[[], None]]:
    """An empty database."""
    rows = mapped(task.rows_file)
    database = rocksdict.Rdict(str(Path(task.folder) / "rocksdict"), _options())
    ingest = rocksdict.IngestExternalFileOptions()
    ingest.set_move_files(True)

    def load() -> None:
        path = str(Path(task.folder) / "rows.sst")
        writer = rocksdict.SstFileWriter(options=_options())
        writer.open(path)
        for key, value in sorted_pairs(rows):
            writer[key] = value
        writer.finish()  # syncs the file
        database.ingest_external_file([path], ingest)

    yield load
    database.close()


class _Reader:
    def __init__(self, database: rocksdict.Rdict) -> None:
        self._database = database

    def get(self, key: str) -> dict[str, Any] | None:
        return row(self._database.get(key.encode()))

    def get_many(self, keys: list[str]) -> pa.Table:
        return table(self._database.get([key.encode() for key in keys]))


@contextmanager
def reading(task: Task) -> Iterator[_Reader]:
    """Read only."""
    path = str(Path(task.folder) / "rocksdict")
    database = rocksdict.Rdict(path, _options(), access_type=rocksdict.AccessType.read_only())
    yield _Reader(database)
    database.close()
