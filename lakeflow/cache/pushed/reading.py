"""Reads pushed versions: one request sees one version, whole, whatever is pushed meanwhile.

A reader keeps what the pointer named last, and asks for rows of that version. The store answers with them and with
the pointer. If this is the one that is kept, the rows are the answer; else the request starts again with the
version that is current now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pyarrow as pa

from lakeflow.cache.files.columns import chosen
from lakeflow.cache.keys.asked import listed
from lakeflow.cache.reading.answer import AnswerKind, check_kind, handed_over
from lakeflow_io.errors import CorruptFileError, NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.cache.keys.column import Key, KeyColumn, ManyKeys
    from lakeflow.cache.pushed.version import PushedVersion

__all__ = ["PushedReader", "PushedStore"]

_Checked = TypeVar("_Checked")

_BLOCK_KEYS = 16_384  # what is read for them and their rows are in memory at once


class Known(Protocol):
    """A version that a store's pointer named: what it takes to ask for its rows, and to read them."""

    @property
    def pointer(self) -> bytes:
        """What the store's pointer held when it named this version."""
        ...

    @property
    def pushed(self) -> PushedVersion:
        """The version."""
        ...

    @property
    def key(self) -> KeyColumn:
        """Its key."""
        ...

    def row(self, key: Key, value: Any, names: list[str]) -> dict[str, Any] | None:
        """Return the columns `names` of a row, as `Cache.get` does; None where there is none.

        Raises:
            CorruptFileError: what was read isn't of this version.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        ...

    def table(self, asked: pa.Array, values: Any, names: list[str]) -> pa.Table:
        """Return the columns `names` of one row per key and, as the last, whether it was found.

        Raises:
            CorruptFileError: what was read isn't of this version.
        """
        ...


class PushedStore(Protocol):
    """A store that a cache was pushed to, as a reader sees it; safe for threads.

    All methods raise StoreError, or one of its kinds, where the store can't be reached or refuses.
    """

    @property
    def shown(self) -> str:
        """The store's address without credentials, for messages."""
        ...

    def pointer(self) -> bytes | None:
        """Return what names the current version; None where nothing was pushed. Another version has another."""
        ...

    def describe(self, pointer: bytes) -> Known | None:
        """Return the version that a pointer names; None where it has been removed since.

        Raises:
            CorruptFileError: the description can't be decoded.
            UnsupportedError: another version of lakeflow wrote it.
        """
        ...

    def read_one(self, known: Any, key: Key) -> tuple[bytes | None, Any]:
        """Return a pointer, and what `known.row` finds the row of a key in.

        Where the pointer is `known.pointer`, that is exactly what the version holds. Where it is another, it is to
        be thrown away.
        """
        ...

    def read(self, known: Any, asked: pa.Array) -> tuple[bytes | None, Any]:
        """Return a pointer, and what `known.table` finds the rows of many keys in.

        Args:
            known: A version, as `describe` gave it.
            asked: Keys, of the key column's type.
        """
        ...


class PushedReader:
    """Reads one cache from a store; safe for threads."""

    def __init__(self, name: str, store: PushedStore) -> None:
        self._name = name
        self._store = store
        self._known: Known | None = None

    def get(self, key: Key, default: Any, columns: Sequence[str] | None) -> Any:
        """Return what `Cache.get` does, and raise what it raises."""
        while True:
            known, checked = self._asked(lambda column: column.check(key))
            pointer, value = self._store.read_one(known, checked)
            if pointer == known.pointer:
                row = known.row(checked, value, _chosen(known, columns))
                return default if row is None else row
            self._follow(pointer)

    def get_many(self, keys: ManyKeys, columns: Sequence[str] | None, to: AnswerKind) -> Any:
        """Return what `Cache.get_many` does, and raise what it raises."""
        check_kind(to)
        many: Any = keys if hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__len__") else listed(keys)
        while True:
            known, asked = self._asked(lambda column: column.array(many))
            pointer, found = self._tables(known, asked, columns)
            if pointer == known.pointer:
                keys = known.key.values(asked) if to == "dict" else ()
                return handed_over(pa.concat_tables(found), keys, to)
            self._follow(pointer)

    def current(self) -> PushedVersion:
        """Return the version that is current now.

        Raises:
            NotFoundError: nothing was pushed.
        """
        return self._refresh().pushed

    def _tables(
        self, known: Known, asked: pa.Array, columns: Sequence[str] | None
    ) -> tuple[bytes | None, list[pa.Table]]:
        """Read some keys at a time, all of one version; stop where the pointer has moved."""
        tables: list[pa.Table] = []
        for start in range(0, max(len(asked), 1), _BLOCK_KEYS):
            block = asked.slice(start, _BLOCK_KEYS)
            pointer, values = self._store.read(known, block)
            if pointer != known.pointer:
                return pointer, []
            tables.append(known.table(block, values, _chosen(known, columns)))
        return known.pointer, tables

    def _asked(self, check: Callable[[KeyColumn], _Checked]) -> tuple[Known, _Checked]:
        """Check keys against the version seen last; where they don't fit, against the one that is current."""
        known = self._known or self._refresh()
        try:
            return known, check(known.key)
        except SchemaError:
            current = self._refresh()
            if current is known:
                raise
            return current, check(current.key)

    def _refresh(self) -> Known:
        return self._follow(self._store.pointer())

    def _follow(self, pointer: bytes | None) -> Known:
        """Keep the version that a pointer names; a later one where that has been removed meanwhile."""
        while pointer is not None:
            known = self._known
            if known is not None and known.pointer == pointer:
                return known
            known = self._store.describe(pointer)
            if known is not None:
                self._known = known
                return known
            later = self._store.pointer()
            if later == pointer:
                message = (
                    f"The pointer of cache {self._name!r} in {self._store.shown} names a version that isn't there."
                )
                raise CorruptFileError(message, "push the cache again.")
            pointer = later
        self._known = None
        message = f"Cache {self._name!r} has no version in {self._store.shown}."
        raise NotFoundError(message, "push one with `lakeflow cache push`, or check the name and the address.")


def _chosen(known: Known, columns: Sequence[str] | None) -> list[str]:
    return chosen(known.pushed.schema, columns, known.pushed.summary.id)
