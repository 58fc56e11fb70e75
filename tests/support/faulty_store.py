"""A store in memory whose client can die at any request, whose answers can be lost, and at which others can be at work.

Clients of one store share its objects. A client that died makes no further request, as a killed process would:
what its `finally` blocks try fails, too.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from lakeflow_io.storage import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import pytest

__all__ = ["ROOT", "FaultyStore", "KilledError", "clients"]

ROOT = "memory://faulty/caches"
_WRITES = ("put", "put_if_absent", "put_if_unchanged", "delete")


class KilledError(BaseException):
    """The end of a client."""


class FaultyStore(MemoryTransport):
    """One client.

    Args:
        objects: The store's, shared.
        dies_at: The number of the write at which it dies, counted from 0; never where None.
        done: Whether that write is done when it dies.
        at: Called before each request, with the verb and the URI; what it raises is what the request raises.
    """

    def __init__(
        self,
        objects: dict[str, bytes],
        *,
        dies_at: int | None = None,
        done: bool = False,
        at: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        super().__init__()
        self.objects = objects
        self.writes: list[tuple[str, str]] = []
        self._dies_at, self._done, self._at = dies_at, done, at
        self._is_dead = False
        self._counting = Lock()

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """As the real one."""
        self._write("put", uri, lambda: MemoryTransport.put(self, uri, data))

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """As the real one."""
        return bool(self._write("put_if_absent", uri, lambda: MemoryTransport.put_if_absent(self, uri, data)))

    def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
        """As the real one."""
        return bool(
            self._write("put_if_unchanged", uri, lambda: MemoryTransport.put_if_unchanged(self, uri, data, tag))
        )

    def delete(self, uri: str) -> None:
        """As the real one."""
        self._write("delete", uri, lambda: MemoryTransport.delete(self, uri))

    def get(self, uri: str) -> memoryview:
        """As the real one."""
        self._ask("get", uri)
        return super().get(uri)

    def get_if_changed(self, uri: str, tag: str | None = None) -> tuple[memoryview, str] | None:
        """As the real one."""
        self._ask("get_if_changed", uri)
        return super().get_if_changed(uri, tag)

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """As the real one."""
        self._ask("get_range", uri)
        return super().get_range(uri, start, length)

    def list(self, prefix: str) -> Iterator[Any]:
        """As the real one."""
        self._ask("list", prefix)
        return super().list(prefix)

    def _ask(self, verb: str, uri: str) -> None:
        if self._is_dead:
            raise KilledError
        self._at(verb, uri)

    def _write(self, verb: str, uri: str, write: Callable[[], Any]) -> Any:
        self._ask(verb, uri)
        with self._counting:
            dies = len(self.writes) == self._dies_at
            self.writes.append((verb, uri))
        result = write() if not dies or self._done else None
        if dies:
            self._is_dead = True
            raise KilledError
        return result


@contextmanager
def clients(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[FaultyStore], None]]:
    """Has every cache of the process reach its store through the client that was given last."""
    chosen: list[FaultyStore] = []

    def opened(_: object) -> FaultyStore:
        return chosen[-1]

    with monkeypatch.context() as patch:
        for module in ("shelf", "segments"):
            patch.setattr(f"lakeflow.cache.remote.{module}.open_transport", opened)
        yield chosen.append
