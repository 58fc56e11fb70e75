"""A Valkey server on a unix socket by redis-py, values with msgpack."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import redis

from benchmarks.cache.contenders.packed import pairs, row
from benchmarks.cache.rows import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.cache.parts import Task

__all__ = ["PACKAGES", "SETTINGS", "loading", "reading"]

PACKAGES = ("redis", "hiredis", "msgpack")
SETTINGS = "redis-py with hiredis over a unix socket, pipelines of 1,000 SET without MULTI; nothing reaches a disk"
_PIPELINE = 1000


@contextmanager
def loading(task: Task) -> Iterator[Callable[[], None]]:
    """An empty server."""
    rows = mapped(task.rows_file)
    with redis.Redis(unix_socket_path=task.socket) as client:

        def load() -> None:
            left = pairs(rows)
            while batch := list(islice(left, _PIPELINE)):
                pipeline = client.pipeline(transaction=False)
                for key, value in batch:
                    pipeline.set(key, value)
                pipeline.execute()

        yield load


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
