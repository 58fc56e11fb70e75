"""`ValkeyCache`: reads a cache that was pushed to a server.

Every round trip is one transaction: the pointer and the rows of the version that it named last time. If the
pointer still names that version, the rows are the answer; else the request starts again with the new one.
So a request sees one version, whole, and a row that is missing is missing: a pushed version's rows are
removed only after the pointer has left it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import pyarrow as pa

from lakeflow.cache.answer import AnswerKind, check_kind, handed_over
from lakeflow.cache.columns import FOUND, chosen
from lakeflow.cache.keys import key_of
from lakeflow.cache.layout import CacheFolder
from lakeflow.cache.valkey.encoding import RowCodec, key_bytes
from lakeflow.cache.valkey.pointer import Names, PushedVersion
from lakeflow.cache.valkey.server import Server
from lakeflow_io.errors import NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.cache.keys import Key, KeyColumn, ManyKeys
    from lakeflow.cache.version import CacheVersion

__all__ = ["ValkeyCache"]

_Checked = TypeVar("_Checked")

_MGET_KEYS = 10_000  # one MGET of them holds the server's only thread for some milliseconds


class _Known:
    """A version that a pointer named: what it takes to ask for its rows and to read them."""

    def __init__(self, value: bytes, names: Names) -> None:
        self.value = value
        self.pushed = PushedVersion.parse(value, names.pointer.decode())
        self.key = key_of(self.pushed.schema, self.pushed.key)
        self.codec = RowCodec(self.pushed.schema, self.pushed.key)
        self.prefix = names.version(self.pushed.summary.id)

    def chosen(self, columns: Sequence[str] | None) -> list[str]:
        """Return the columns that were asked for, all of them where None."""
        return chosen(self.pushed.schema, columns, self.pushed.summary.id)


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
        self._names = Names(CacheFolder.at(None, name).name)
        self._url = url
        self._server = Server.at(url)
        self._known: _Known | None = None

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._names.cache

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
        while True:
            known, checked = self._asked(lambda column: column.check(key))
            pointer, values = self._read(known, [checked])
            if pointer == known.value:
                names = known.chosen(columns)
                row = None if values[0] is None else known.codec.row(checked, values[0])
                return default if row is None else {name: row[name] for name in names}
            self._follow(pointer)

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
        check_kind(to)
        many: Any = keys if hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__len__") else list(keys)
        while True:
            known, asked = self._asked(lambda column: column.array(many))
            plain = known.key.values(asked)
            pointer, values = self._read_blocks(known, plain)
            if pointer == known.value:
                names = known.chosen(columns)
                return handed_over(_table(known, asked, values).select([*names, FOUND]), plain, to)
            self._follow(pointer)

    @property
    def version(self) -> CacheVersion:
        """The version that is read now.

        Raises:
            NotFoundError: nothing was pushed.
            StoreError: the server can't be reached, or refuses.
        """
        return self._refresh().pushed.summary

    def __repr__(self) -> str:
        return f"<ValkeyCache {self.name!r} in {self._server.shown}>"

    def __reduce__(self) -> tuple[type[ValkeyCache], tuple[str, str]]:
        """Leave connections behind: another process opens its own."""
        return type(self), (self.name, self._url)

    def _asked(self, check: Callable[[KeyColumn], _Checked]) -> tuple[_Known, _Checked]:
        """Check keys against the version seen last; where they don't fit, against the one that is current."""
        known = self._known or self._refresh()
        try:
            return known, check(known.key)
        except SchemaError:
            current = self._refresh()
            if current is known:
                raise
            return current, check(current.key)

    def _refresh(self) -> _Known:
        with self._server.talking():
            pointer = self._server.client.get(self._names.pointer)
        return self._follow(pointer)

    def _follow(self, pointer: bytes | None) -> _Known:
        if pointer is None:
            self._known = None
            message = f"Cache {self.name!r} has no version in {self._server.shown}."
            raise NotFoundError(message, "push one with `lakeflow cache push`, or check the name and the database.")
        known = self._known
        if known is None or known.value != pointer:
            known = self._known = _Known(pointer, self._names)
        return known

    def _read(self, known: _Known, keys: list[Key]) -> tuple[bytes | None, list[bytes | None]]:
        """Return the pointer and the rows as they were at one moment."""
        with self._server.talking():
            pipe = self._server.client.pipeline(transaction=True).get(self._names.pointer)
            pointer, values = pipe.mget([known.prefix + key_bytes(key) for key in keys]).execute()
        return pointer, values

    def _read_blocks(self, known: _Known, keys: list[Key]) -> tuple[bytes | None, list[bytes | None]]:
        """Return the rows and the pointer that named their version throughout, or the one that came between."""
        pointer: bytes | None = known.value
        values: list[bytes | None] = []
        for start in range(0, len(keys), _MGET_KEYS):
            pointer, block = self._read(known, keys[start : start + _MGET_KEYS])
            if pointer != known.value:
                break
            values += block
        return pointer, values


def _table(known: _Known, asked: pa.Array, values: list[bytes | None]) -> pa.Table:
    columns = known.codec.columns(values)
    schema, given = known.pushed.schema, known.key.columns(asked)
    fields = [field.with_nullable(nullable=True) for field in schema]
    found = pa.field(FOUND, pa.bool_(), nullable=False)
    arrays = [given[name] if name in given else columns[name] for name in schema.names]
    hits = pa.array([value is not None for value in values], pa.bool_())
    return pa.Table.from_arrays([*arrays, hits], schema=pa.schema([*fields, found]))
