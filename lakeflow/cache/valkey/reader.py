"""`ValkeyCache`: reads a cache that was pushed to a server.

Every round trip is one transaction: the pointer and the rows of the version that it named last time. A pushed
version's rows are removed only after the pointer has left it, so a row that is missing then is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from lakeflow.cache.layout import CacheFolder
from lakeflow.cache.pushed.codec import key_bytes
from lakeflow.cache.pushed.reading import PushedReader
from lakeflow.cache.pushed.version import PushedVersion
from lakeflow.cache.valkey.names import Names
from lakeflow.cache.valkey.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.answer import AnswerKind
    from lakeflow.cache.keys import Key, ManyKeys
    from lakeflow.cache.pushed.known import KnownVersion
    from lakeflow.cache.version import CacheVersion

__all__ = ["ValkeyCache"]

_MGET_KEYS = 10_000  # one MGET of them holds the server's only thread for some milliseconds


class _ValkeyStore:
    """A `PushedStore`."""

    def __init__(self, names: Names, url: str) -> None:
        self._names = names
        self._server = Server.at(url)

    @property
    def shown(self) -> str:
        return self._server.shown

    def pointer(self) -> bytes | None:
        with self._server.talking():
            value: bytes | None = self._server.client.get(self._names.pointer)
        return value

    def describe(self, pointer: bytes) -> PushedVersion:
        return PushedVersion.parse(pointer, self._names.pointer.decode())

    def read(self, known: KnownVersion, keys: list[Key]) -> tuple[bytes | None, list[bytes | None]]:
        """Read blocks, each with the pointer at the same moment; stop where the pointer has moved."""
        pointer: bytes | None = known.pointer
        prefix = self._names.version(known.pushed.summary.id)
        values: list[bytes | None] = []
        for start in range(0, len(keys), _MGET_KEYS):
            block = [prefix + key_bytes(key) for key in keys[start : start + _MGET_KEYS]]
            with self._server.talking():
                pipe = self._server.client.pipeline(transaction=True).get(self._names.pointer)
                pointer, found = pipe.mget(block).execute()
            if pointer != known.pointer:
                break
            values += found
        return pointer, values


class ValkeyCache:
    """A cache in a Valkey or Redis server, read as `Cache` is; safe for threads, and can be pickled.

    Args:
        name: As it was pushed.
        url: `valkey://[[user]:password@]host[:port][/db]`; also valkeys (TLS), redis and rediss.

    Raises:
        ConfigError: the URL can't be used, or the client isn't installed.
        InputError: the name can't name a cache.
    """

    def __init__(self, name: str, url: str) -> None:
        self._name = CacheFolder.at(None, name).name
        self._url = url
        self._store = _ValkeyStore(Names(self._name), url)
        self._reader = PushedReader(self._name, self._store)

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._name

    def get(self, key: Key, default: Any = None, *, columns: Sequence[str] | None = None) -> Any:
        """Return the row of one key as a dict, with the key column in it.

        Args:
            key: An int, str or bytes, as the cache's key column is; a tuple where several columns are the key.
            default: What to return where there is no such row.
            columns: Which columns, in this order; all where None. The server sends all of them.

        Raises:
            SchemaError: the key is of another type, or out of the key column's range.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
            NotFoundError: nothing was pushed, or there is no such column.
            StoreError: the server can't be reached, or refuses.
        """
        return self._reader.get(key, default, columns)

    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["arrow"] = "arrow"
    ) -> pa.Table: ...
    @overload
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind) -> Any: ...
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = "arrow") -> Any:
        """Return one row per key, in the order asked, duplicates included.

        Args:
            keys: As `Cache.get_many` takes them.
            columns: Which columns, in this order; all where None. The server sends all of them.
            to: What to return, as in `Cache.get_many`.

        Returns:
            What `Cache.get_many` returns: the columns, and a last column `found` (bool); or a dict.

        Raises:
            SchemaError: a null, a key of another type, or out of the key column's range.
            NotFoundError: nothing was pushed, or there is no such column.
            InputError: `to` or `columns` can't be.
            ConfigError: the frame's package isn't installed.
            StoreError: the server can't be reached, or refuses.
        """
        return self._reader.get_many(keys, columns, to)

    @property
    def version(self) -> CacheVersion:
        """The version that is read now.

        Raises:
            NotFoundError: nothing was pushed.
            StoreError: the server can't be reached, or refuses.
        """
        return self._reader.version()

    def __repr__(self) -> str:
        return f"<ValkeyCache {self.name!r} in {self._store.shown}>"

    def __reduce__(self) -> tuple[type[ValkeyCache], tuple[str, str]]:
        """Leave connections behind: another process opens its own."""
        return type(self), (self.name, self._url)
