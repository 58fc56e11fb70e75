"""LMDB, values with msgpack."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

from benchmarks.cache.contenders.packed import row, sorted_pairs, table
from benchmarks.cache.rows import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from benchmarks.cache.parts import Task

__all__ = ["PACKAGES", "SETTINGS", "loading", "reading"]

PACKAGES = ("lmdb", "msgpack")
SETTINGS = "sorted by Arrow, putmulti with append in one transaction, writemap, one sync at the end; buffers for reads"
_ROW_BYTES = 400  # of the map, which takes no disk before it is written


def _opened(task: Task, **options: Any) -> lmdb.Environment:
    size = max(task.rows * _ROW_BYTES, 1 << 24)
    return lmdb.open(str(Path(task.folder) / "lmdb"), map_size=size, **options)


@contextmanager
def loading(task: Task) -> Iterator[Callable[[], None]]:
    """An empty environment."""
    rows = mapped(task.rows_file)
    with _opened(task, sync=False, writemap=True) as environment:

        def load() -> None:
            with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
                cursor.putmulti(sorted_pairs(rows), append=True)
            environment.sync(True)  # noqa: FBT003  (its own name is `force`)

        yield load


class _Reader:
    def __init__(self, environment: lmdb.Environment) -> None:
        self._environment = environment

    def get(self, key: str) -> dict[str, Any] | None:
        with self._environment.begin(buffers=True) as transaction:
            return row(transaction.get(key.encode()))

    def get_many(self, keys: list[str]) -> pa.Table:
        with self._environment.begin(buffers=True) as transaction:
            get = transaction.get
            return table([get(key.encode()) for key in keys])


@contextmanager
def reading(task: Task) -> Iterator[_Reader]:
    """Without read-ahead, which its documentation advises where it is larger than memory, and without locks."""
    with _opened(task, readonly=True, lock=False, readahead=False) as environment:
        yield _Reader(environment)
