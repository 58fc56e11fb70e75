"""Keys found among sorted hashes, by number and by text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.cache.keys.hashing import hash_key
from lakeflow_io.keyed.blocks import Layouts
from lakeflow_io.keyed.finder import Finder, Source
from lakeflow_io.keyed.gather import place_of

KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.string(): st.text(max_size=20),
    pa.large_string(): st.text(max_size=20),
    pa.binary(): st.binary(max_size=20),
    pa.large_binary(): st.binary(max_size=20),
}


COLUMNS = [pa.array([None] * 60, kind) for kind in (pa.int8(), pa.string(), pa.bool_(), pa.list_(pa.int8()), pa.null())]
"""Of every kind that a row may be read of next."""


def finder_of(kind: pa.DataType, parts: list[list[Any]], opened: list[int] | None = None) -> Finder:
    """A finder over sources of keys that are sorted by their hashes."""

    def open_source(number: int) -> Source:
        if opened is not None:
            opened.append(number)
        hashes = np.array([hash_key(key) for key in parts[number]], dtype=np.uint64)
        return Source(hashes, pa.array(parts[number], kind), Layouts(COLUMNS))

    finder = Finder.of(kind, [hash_key(part[0]) for part in parts], open_source)
    assert finder is not None
    return finder


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_a_key_is_found_where_it_lies(kind: pa.DataType, data: st.DataObject) -> None:
    """One by one and all at once, present and absent, in several sources; a source is opened when it is needed."""
    keys = data.draw(st.lists(KINDS[kind], unique=True, max_size=60))
    absent = data.draw(st.lists(KINDS[kind].filter(lambda key: key not in keys), max_size=5))
    ordered = sorted(keys, key=hash_key)
    size = data.draw(st.integers(1, 60))
    parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    lies = {key: int(place_of(n, np.int64(row))) for n, part in enumerate(parts) for row, key in enumerate(part)}
    asked = data.draw(st.permutations([*keys, *absent]))

    expected = [lies.get(key, -1) for key in asked]

    one, many = finder_of(kind, parts), finder_of(kind, parts)
    assert expected == [one.find(key) for key in asked]
    assert expected == many.find_many(pa.array(asked, kind)).tolist()


def test_only_sources_that_are_needed_are_opened() -> None:
    """A key says by its hash in which source it would lie."""
    keys = sorted((str(number) for number in range(100)), key=hash_key)
    opened: list[int] = []
    finder = finder_of(pa.string(), [keys[:50], keys[50:]], opened)

    assert finder.find(keys[60]) == (1 << 32) + 10
    assert opened == [1]
    assert finder.find_many(pa.array(keys)).tolist()[:50] == list(range(50))
    assert opened == [1, 0]


@pytest.mark.parametrize("wanted", range(5))
def test_keys_of_one_hash_are_told_apart(wanted: int) -> None:
    """Of rows with the asked key's hash the one with its bytes is found, and none where none has them."""
    keys = ["at", "longer than it", "", "it", "of"]
    hashes = np.full(5, hash_key("it"), dtype=np.uint64)
    keys[3], keys[wanted] = keys[wanted], keys[3]
    finder = Finder.of(pa.string(), [int(hashes[0])], lambda _: Source(hashes, pa.array(keys)))
    nowhere = Finder.of(pa.string(), [int(hashes[0])], lambda _: Source(hashes, pa.array(["at"] * 5)))

    assert (finder.find("it"), nowhere.find("it")) == (wanted, -1)
    assert finder.find_many(pa.array(["it"])).tolist() == [wanted]


def test_many_keys_are_found_by_interpolation() -> None:
    """Wherever the guess is: among evenly spread hashes, clustered ones, and at both ends."""
    random = np.random.default_rng(0)
    numbers = random.integers(-(2**63), 2**63, 200_000)
    keys = np.unique(np.concatenate([numbers, np.arange(1000)]))
    hashes = np.array([hash_key(key) for key in keys.tolist()], dtype=np.uint64)
    order = np.argsort(hashes)
    kept = np.concatenate([order[:1000], order[50_000:50_100], order[-60_000:]])  # gaps: not even any more
    finder = Finder.of(pa.int64(), [int(hashes[kept[0]])], lambda _: Source(hashes[kept], pa.array(keys[kept])))

    assert np.array_equal(finder.find_many(pa.array(keys[kept])), np.arange(len(kept)))
    assert list(map(finder.find, keys[kept[::100]].tolist())) == list(range(0, len(kept), 100))
    assert (finder.find_many(pa.array(keys[order[60_000:70_000]])) == -1).all()


def test_a_damaged_offset_finds_nothing() -> None:
    """A flipped bit in an offset is no read of other memory."""
    offsets = np.array([0, 2], dtype=np.int32)
    keys = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(b"it")])
    offsets += 1 << 30
    hashes = np.array([hash_key("it")], dtype=np.uint64)
    finder = Finder.of(pa.string(), [int(hashes[0])], lambda _: Source(hashes, keys))

    assert finder.find("it") == -1


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40), st.integers(0, 50))
def test_damaged_hashes_find_no_other_key(hashes: list[int], wanted: int) -> None:
    """Hashes that aren't sorted, or of other keys, lead to the row with the key or to none."""
    hashes[wanted % len(hashes)] = hash_key(wanted)
    texts = pa.array([str(number) for number in range(len(hashes))])
    finder = Finder.of(pa.string(), [0], lambda _: Source(np.array(hashes, dtype=np.uint64), texts))

    assert finder.find(str(wanted)) in (-1, wanted)
    assert finder.find_many(pa.array([str(wanted)])).tolist()[0] in (-1, wanted)


def test_a_hash_is_found_where_it_begins() -> None:
    """Of keys that C doesn't know: the first row that has the hash, one by one and all at once."""
    hashes = np.array([5, 9, 9, 9, 2**64 - 1], dtype=np.uint64)
    finder = Finder.of(pa.struct([("a", pa.int64())]), [5], lambda _: Source(hashes, pa.array([{"a": 1}] * 5)))
    asked = [5, 9, 2**64 - 1, 0, 7, 10]

    assert finder is not None
    assert [finder.find(key_hash) for key_hash in asked] == [0, 1, 4, -1, -1, -1]
    assert finder.find_many(np.array(asked, dtype=np.uint64)).tolist() == [0, 1, 4, -1, -1, -1]
