"""Keys among sources that are sorted by the hash of their key."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from lakeflow_io.keyed.binding import (
    NO_TEXTS,
    Index,
    Sorted,
    Texts,
    address,
    held_library,
    is_text,
    keyed_library,
    texts_of,
)
from lakeflow_io.keyed.order import corrupt_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lakeflow_io.keyed.blocks import Blocks, Layouts

__all__ = ["Finder", "Source"]

_ALL_BITS = 0xFFFFFFFFFFFFFFFF
_LONGEST = 2**31 - 1
_CLOSED = -2
"""`LF_CLOSED` of keyed.h, and `LF_DAMAGED`."""
_DAMAGED = -(2**32)

_ONE_GROUP = np.empty(0, dtype=np.int64)
_Keys = Literal["words", "texts", "hashes"]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that are sorted by the hash of their key."""

    hashes: NDArray[np.uint64]
    keys: pa.Array
    layouts: Layouts | None = None
    """Of the columns that are read when a row is found."""
    index: Blocks | None = None
    """The blocks of the hashes; None where they aren't compared with anything."""
    payload: Blocks | None = None
    """Those of the rows."""


class Finder:
    """Finds integers or texts, or the first row of a hash; any number of threads may at once. Made by `of`.

    What it relies on is compared with its checksum before; a row that `find` returns may be read.

    Args:
        firsts: The first hash of each source, ascending; of those of one bucket, where there are buckets.
        open_source: Opens a source by its number when it is first needed.
        keys: What is asked for.
        starts: The first source of each bucket of `bucket[N]`, and how many sources there are, as int64; empty where
            all keys may be in all sources.
    """

    def __init__(
        self, firsts: Sequence[int], open_source: Callable[[int], Source], keys: _Keys, starts: NDArray[np.int64]
    ) -> None:
        self._open, self._keys = open_source, keys
        self._firsts = np.array(firsts, dtype=np.uint64)
        self._sources = (Sorted * len(firsts))()
        self._held: dict[int, Source] = {}
        """What the sources point into."""
        self._opening = Lock()
        self._starts = starts
        buckets = max(len(starts) - 1, 0)
        index = Index(ctypes.addressof(self._sources), address(self._firsts), len(firsts), address(starts), buckets)
        self._index = ctypes.pointer(index)
        self._native = keyed_library()
        held = held_library()
        self._find_text, self._find_word, self._find_hash = held.lf_find_text, held.lf_find_word, held.lf_find_hash

    @classmethod
    def of(
        cls,
        kind: pa.DataType,
        firsts: Sequence[int],
        open_source: Callable[[int], Source],
        starts: NDArray[np.int64] = _ONE_GROUP,
    ) -> Finder | None:
        """Return a finder of keys of a type; None where the library isn't there.

        Of keys of another type than integers and texts it finds hashes: the first row that has one.
        """
        keys: _Keys = "words" if pa.types.is_integer(kind) else "texts" if is_text(kind) else "hashes"
        return cls(firsts, open_source, keys, starts) if keyed_library() is not None else None

    def find(self, key: int | str | bytes, *, whole: bool = True) -> int:
        """Return the place of one key, as `place_of` gives places, or -1.

        Args:
            key: As the keys are: an int that fits 64 bits, a str of UTF-8, or bytes; or a hash.
            whole: Whether the columns of its row are read then; never of a hash.

        Raises:
            CorruptFileError: a block that it lies in is damaged.
        """
        place = self._find(key, whole)
        while place <= _CLOSED:
            self._need(place)
            place = self._find(key, whole)
        return place

    def find_many(self, keys: pa.Array | NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the place of each key, or -1, as int64.

        Args:
            keys: An array of the sources' kind of keys, without nulls; or hashes.

        Raises:
            CorruptFileError: a block that one lies in is damaged.
        """
        places = np.full(len(keys), -1, dtype=np.int64)
        while len(keys):
            self._find_all(keys, places)
            closed = places[places <= _CLOSED]
            if not len(closed):
                break
            for place in sorted(set(closed.tolist())):
                self._need(place)
        return places

    def _find(self, key: int | str | bytes, whole: bool) -> int:  # noqa: FBT001  (called for every key)
        if isinstance(key, int):
            if self._keys == "hashes":
                return self._find_hash(self._index, ctypes.c_uint64(key))
            return self._find_word(self._index, ctypes.c_uint64(key & _ALL_BITS), whole)
        text = key.encode() if isinstance(key, str) else key
        return self._find_text(self._index, text, len(text), whole) if len(text) <= _LONGEST else -1

    def _find_all(self, keys: Any, places: NDArray[np.int64]) -> None:
        if self._keys == "hashes":
            self._native.lf_find_hashes(self._index, address(keys), len(keys), address(places))
        elif self._keys == "words":
            values = keys.to_numpy(zero_copy_only=False)
            words = np.ascontiguousarray(values if values.dtype == np.uint64 else values.astype(np.int64))
            self._native.lf_find_words(self._index, address(words), len(keys), address(places))
        else:
            texts: Any = texts_of(keys)
            self._native.lf_find_texts(self._index, ctypes.byref(texts), len(keys), address(places))

    def _need(self, place: int) -> None:
        """Open a source that a key would be in, or say what is wrong with it."""
        if place <= _DAMAGED:
            raise _damage(self._held[_DAMAGED - place])
        number = _CLOSED - place
        opened = self._open(number)
        with self._opening:  # no two threads write one source, nor one that is read already
            if self._held.setdefault(number, opened) is opened and not self._sources[number].hashes:
                self._fill(self._sources[number], opened)

    def _fill(self, source: Any, opened: Source) -> None:
        if opened.layouts is not None:
            source.columns, source.column_count = opened.layouts.at(0), opened.layouts.count
        source.index, source.payload = _pointer(opened.index), _pointer(opened.payload)
        texts: Any = texts_of(opened.keys) if self._keys == "texts" else Texts(kind=NO_TEXTS)
        texts.blocks = _pointer(opened.payload)
        source.keys = texts
        source.rows = len(opened.hashes)
        source.hashes = address(opened.hashes)  # last: with it the source is open


def _pointer(blocks: Blocks | None) -> int | None:
    return None if blocks is None else blocks.pointer


def _damage(source: Source) -> Exception:
    """What is wrong with a source in which a block differs."""
    both = (source.index, source.payload)
    found = next((blocks for blocks in both if blocks is not None and blocks.is_damaged), None)
    return corrupt_texts() if found is None else found.error()
