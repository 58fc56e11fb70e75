"""Reads pushed versions: one request sees one version, whole, whatever is pushed meanwhile.

A reader keeps what the pointer named last, and asks for rows of that version. The store answers with them and with
the pointer. If this is the one that is kept, the rows are the answer; else the request starts again with the
version that is current now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lakeflow.cache.answer import AnswerKind, check_kind, handed_over
from lakeflow.cache.pushed.known import KnownVersion
from lakeflow_io.errors import NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.cache.keys import Key, KeyColumn, ManyKeys
    from lakeflow.cache.pushed.version import PushedVersion
    from lakeflow.cache.version import CacheVersion

__all__ = ["PushedReader", "PushedStore"]

_Checked = TypeVar("_Checked")


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

    def describe(self, pointer: bytes) -> PushedVersion | None:
        """Return the version that a pointer names; None where it has been removed since.

        Raises:
            CorruptFileError: the description can't be decoded.
            UnsupportedError: another version of lakeflow wrote it.
        """
        ...

    def read(self, known: KnownVersion, keys: list[Key]) -> tuple[bytes | None, list[bytes | None]]:
        """Return a pointer, and the row of each key, None where there is none.

        Where the pointer is `known.pointer`, the rows are exactly those of that version. Where it is another,
        they are to be thrown away, and may be too few.
        """
        ...


class PushedReader:
    """Reads one cache from a store; safe for threads."""

    def __init__(self, name: str, store: PushedStore) -> None:
        self._name = name
        self._store = store
        self._known: KnownVersion | None = None

    def get(self, key: Key, default: Any, columns: Sequence[str] | None) -> Any:
        """Return what `Cache.get` does, and raise what it raises."""
        while True:
            known, checked = self._asked(lambda column: column.check(key))
            pointer, values = self._store.read(known, [checked])
            if pointer == known.pointer:
                names = known.chosen(columns)
                return default if values[0] is None else known.row(checked, values[0], names)
            self._follow(pointer)

    def get_many(self, keys: ManyKeys, columns: Sequence[str] | None, to: AnswerKind) -> Any:
        """Return what `Cache.get_many` does, and raise what it raises."""
        check_kind(to)
        many: Any = keys if hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__len__") else list(keys)
        while True:
            known, asked = self._asked(lambda column: column.array(many))
            plain = known.key.values(asked)
            pointer, values = self._store.read(known, plain)
            if pointer == known.pointer:
                return handed_over(known.table(asked, values, known.chosen(columns)), plain, to)
            self._follow(pointer)

    def version(self) -> CacheVersion:
        """Return the version that is current now.

        Raises:
            NotFoundError: nothing was pushed.
        """
        return self._refresh().pushed.summary

    def _asked(self, check: Callable[[KeyColumn], _Checked]) -> tuple[KnownVersion, _Checked]:
        """Check keys against the version seen last; where they don't fit, against the one that is current."""
        known = self._known or self._refresh()
        try:
            return known, check(known.key)
        except SchemaError:
            current = self._refresh()
            if current is known:
                raise
            return current, check(current.key)

    def _refresh(self) -> KnownVersion:
        return self._follow(self._store.pointer())

    def _follow(self, pointer: bytes | None) -> KnownVersion:
        """Keep the version that a pointer names; a later one where that is gone already."""
        while pointer is not None:
            known = self._known
            if known is not None and known.pointer == pointer:
                return known
            pushed = self._store.describe(pointer)
            if pushed is not None:
                self._known = known = KnownVersion.of(pointer, pushed)
                return known
            pointer = self._store.pointer()
        self._known = None
        message = f"Cache {self._name!r} has no version in {self._store.shown}."
        raise NotFoundError(message, "push one with `lakeflow cache push`, or check the name and the address.")
