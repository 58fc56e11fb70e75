"""Keys among sources that are sorted by the hash of their key."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow_io.keyed.binding import (
    NO_TEXTS,
    Index,
    Sorted,
    Texts,
    Values,
    address,
    held_library,
    is_text,
    keyed_library,
    texts_of,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Finder", "Opened"]

_ALL_BITS = 0xFFFFFFFFFFFFFFFF
_LONGEST = 2**31 - 1
_CLOSED = -2
"""`LF_CLOSED` of keyed.h."""

Opened = tuple["NDArray[np.uint64]", pa.Array, Sequence[pa.Array]]
"""Hashes, sorted; as many keys; and the columns of which a row is read when it is found."""


class Finder:
    """Finds integers or texts; any number of threads may at once. Made by `of`.

    Args:
        firsts: The first hash of each source, ascending.
        integers: Whether keys are integers.
        open_source: Opens a source by its number when it is first needed: its hashes, its keys, and what is read next.
    """

    def __init__(self, firsts: Sequence[int], open_source: Callable[[int], Opened], *, integers: bool) -> None:
        self._open, self._integers = open_source, integers
        self._firsts = np.array(firsts, dtype=np.uint64)
        self._sources = (Sorted * len(firsts))()
        self._held: list[Any] = []
        """What the sources point into; twice, where two threads opened one at once."""
        index = Index(ctypes.cast(self._sources, ctypes.POINTER(Sorted)), address(self._firsts), len(firsts))
        self._index = ctypes.pointer(index)
        self._native = keyed_library()
        self._find_text, self._find_word = held_library().lf_find_text, held_library().lf_find_word

    @classmethod
    def of(cls, kind: pa.DataType, firsts: Sequence[int], open_source: Callable[[int], Opened]) -> Finder | None:
        """Return a finder of keys of a type; None where the library isn't there, or the type is another."""
        integers = pa.types.is_integer(kind)
        usable = keyed_library() is not None and (integers or is_text(kind))
        return cls(firsts, open_source, integers=integers) if usable else None

    def find(self, key: int | str | bytes) -> int:
        """Return the place of one key, as `place_of` gives places, or -1.

        Args:
            key: As the keys are: an int that fits 64 bits, a str of UTF-8, or bytes.
        """
        place = self._find(key)
        while place <= _CLOSED:
            self._need(_CLOSED - place)
            place = self._find(key)
        return place

    def find_many(self, keys: pa.Array) -> NDArray[np.int64]:
        """Return the place of each key, or -1, as int64.

        Args:
            keys: An array of the sources' kind of keys, without nulls.
        """
        places = np.full(len(keys), -1, dtype=np.int64)
        while len(keys):
            self._find_all(keys, places)
            closed = places[places <= _CLOSED]
            if not len(closed):
                break
            for number in np.unique(_CLOSED - closed).tolist():
                self._need(number)
        return places

    def _find(self, key: int | str | bytes) -> int:
        if isinstance(key, int):
            return self._find_word(self._index, ctypes.c_uint64(key & _ALL_BITS))
        text = key.encode() if isinstance(key, str) else key
        return self._find_text(self._index, text, len(text)) if len(text) <= _LONGEST else -1

    def _find_all(self, keys: pa.Array, places: NDArray[np.int64]) -> None:
        if self._integers:
            values = keys.to_numpy(zero_copy_only=False)
            words = np.ascontiguousarray(values if values.dtype == np.uint64 else values.astype(np.int64))
            self._native.lf_find_words(self._index, address(words), len(keys), address(places))
        else:
            texts: Any = texts_of(keys)
            self._native.lf_find_texts(self._index, ctypes.byref(texts), len(keys), address(places))

    def _need(self, number: int) -> None:
        """Open a source; a second thread that opens it too has the same content at another address."""
        hashes, keys, columns = self._open(number)
        values = [found for column in columns if (found := values_of(column)) is not None]
        array = (Values * len(values))(*values)
        self._held.append((hashes, keys, columns, array))
        source = self._sources[number]
        source.columns, source.column_count = ctypes.cast(array, ctypes.POINTER(Values)), len(values)
        source.keys = Texts(kind=NO_TEXTS) if self._integers else texts_of(keys)
        source.rows = len(hashes)
        source.hashes = address(hashes)  # last: with it the source is open
