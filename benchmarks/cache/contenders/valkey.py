"""A Valkey server on a unix socket by redis-py, values with msgpack."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np
import pyarrow as pa
import redis

from benchmarks.cache.contenders.packed import pairs, row
from benchmarks.cache.rows import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.cache.parts import Task

__all__ = ["PACKAGES", "SETTINGS", "loading", "publishing", "reading", "tagged_reading"]

PACKAGES = ("redis", "hiredis", "msgpack")
SETTINGS = "redis-py with hiredis over a unix socket, pipelines of 1,000 SET without MULTI; nothing reaches a disk"
_PIPELINE = 1000
_TAGS = {"version": np.int64, "checksum": np.uint64}


@contextmanager
def loading(task: Task) -> Iterator[Callable[[], None]]:
    """An empty server."""
    rows = mapped(task.rows_file)
    with redis.Redis(unix_socket_path=task.socket) as client:
        yield lambda: _set(client, pairs(rows))


def _set(client: redis.Redis, pairs: Iterator[tuple[Any, bytes]]) -> None:
    while batch := list(islice(pairs, _PIPELINE)):
        pipeline = client.pipeline(transaction=False)
        for key, value in batch:
            pipeline.set(key, value)
        pipeline.execute()


class _Reader:
    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def get(self, key: str) -> dict[str, Any] | None:
        return row(self._client.get(key))

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        return self._client.mget(keys)


@contextmanager
def reading(task: Task) -> Iterator[_Reader]:
    """One connection; what `get_many` gets isn't decoded."""
    with redis.Redis(unix_socket_path=task.socket) as client:
        yield _Reader(client)


@contextmanager
def publishing(task: Task) -> Iterator[Callable[[pa.Table], None]]:
    """What overwrites rows in place, as one does without versions."""
    with redis.Redis(unix_socket_path=task.socket) as client:
        yield lambda rows: _set(client, ((f"tagged:{row['id']}", msgpack.packb(row)) for row in rows.to_pylist()))


@contextmanager
def tagged_reading(task: Task) -> Iterator[Callable[[NDArray[np.int64]], pa.Table]]:
    """What looks them up: one MGET a request, of which the server does nothing else meanwhile."""
    with redis.Redis(unix_socket_path=task.socket) as client:

        def get_many(ids: NDArray[np.int64]) -> pa.Table:
            rows = [msgpack.unpackb(value) for value in client.mget([f"tagged:{key}" for key in ids.tolist()])]
            return pa.table({name: np.array([row[name] for row in rows], type_) for name, type_ in _TAGS.items()})

        yield get_many
