"""`ValkeyCache`: reads a cache that was pushed to a server or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from lakeflow.cache.pushed.reading import PushedReader
from lakeflow.cache.shelves import check_name
from lakeflow.cache.valkey.store import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.keys.column import Key, KeyNames, ManyKeys
    from lakeflow.cache.reading.answer import AnswerKind
    from lakeflow.cache.reading.version import CacheVersion

__all__ = ["ValkeyCache"]


class ValkeyCache:
    """A cache in a Valkey or Redis server, read as `Cache` is; safe for threads, and can be pickled.

    Args:
        name: As it was pushed.
        url: As `push` takes it.

    Raises:
        ConfigError: the URL can't be used.
        InputError: the name can't name a cache.
    """

    def __init__(self, name: str, url: str) -> None:
        self._name = check_name(name)
        self._url = url
        self._store = ValkeyStore(self._name, url)
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
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = ...) -> Any: ...
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
        return self._reader.current().summary

    @property
    def schema(self) -> pa.Schema:
        """The columns of the version that is read now.

        Raises:
            NotFoundError: nothing was pushed.
            StoreError: the server can't be reached, or refuses.
        """
        return self._reader.current().schema

    @property
    def key(self) -> KeyNames:
        """The key column of the version that is read now; a tuple of several.

        Raises:
            NotFoundError: nothing was pushed.
            StoreError: the server can't be reached, or refuses.
        """
        return self._reader.current().key

    def __repr__(self) -> str:
        return f"<ValkeyCache {self.name!r} in {self._store.shown}>"

    def __reduce__(self) -> tuple[type[ValkeyCache], tuple[str, str]]:
        """Leave connections behind: another process opens its own."""
        return type(self), (self.name, self._url)
