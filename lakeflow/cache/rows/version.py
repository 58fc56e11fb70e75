"""Looks keys up in the rows files of all shards of a version: a page or two of the disk for each key."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.rows.lookup import RowFinder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.reading.groups import Groups
    from lakeflow.cache.rows.mapped import Buckets, Run
    from lakeflow.cache.shelf import Shards

__all__ = ["RowMajor"]

_MOST_BYTES = 64 << 20  # of buckets at once
_MOST_ANSWERED = 2**31 - 1


class RowMajor:
    """The rows of a version whose shards have rows files.

    Args:
        schema: The version's columns.
        key: Its key.
        groups: Which shard a key is in.
        shards: All of them.
    """

    def __init__(self, schema: pa.Schema, key: KeyColumn, groups: Groups, shards: Shards) -> None:
        self._groups, self._shards = groups, shards
        self._finder = RowFinder(key, Fields(schema))

    def get(self, key: Key, names: Sequence[str] | None) -> dict[str, Any] | None:
        """Return the row of one key as Python values, or None.

        Args:
            key: As `KeyColumn.check` returns it.
            names: Which columns, in this order; all where None.

        Raises:
            CorruptFileError: its bucket isn't what was written.
            UnsupportedError: a value has no Python form.
        """
        key_hash = hash_key(key)
        number = self._groups.number_of(key, key_hash)
        bucket = None if number < 0 else self._buckets(number).one(key_hash)
        return None if bucket is None else self._finder.row(key, key_hash, bucket, names)

    def get_many(self, asked: pa.Array, names: Sequence[str]) -> tuple[NDArray[np.bool_], list[pa.Array]]:
        """Return of each key whether it has a row, and columns with a value for each; null where it has none.

        Args:
            asked: The keys, of the key column's type.
            names: Which columns.

        Raises:
            CorruptFileError: a bucket isn't what was written.
            pyarrow.ArrowInvalid: there is more than one key, and too much to be read for them at once.
        """
        hashes = hash_keys(asked)
        parts, where = self._runs(asked, hashes)
        size = sum(run.size for _, runs in parts for run in runs)
        if size > _MOST_BYTES and len(asked) > 1:
            raise pa.ArrowInvalid(f"the buckets of {len(asked)} keys have {size} bytes")
        under_way = [run for buckets, runs in parts for run in buckets.ask(runs)]
        for run in under_way:  # all are, before the first is waited for
            run.wait()
        found = [bucket for buckets, runs in parts for bucket in buckets.read(runs)]
        sizes = np.fromiter((len(bucket or b"") for bucket in found), np.int64, len(found))
        if len(asked) > 1 and sizes[where[where >= 0]].sum() > _MOST_ANSWERED:  # one row may be asked for many times
            raise pa.ArrowInvalid(f"the rows of {len(asked)} keys may have more bytes than offsets of 32 bits reach")
        hit, columns = self._finder.rows(asked, hashes, found, where, names)
        return hit, [columns[name] for name in names]

    def _runs(
        self, asked: pa.Array, hashes: NDArray[np.uint64]
    ) -> tuple[list[tuple[Buckets, list[Run]]], NDArray[np.int64]]:
        """Return the buckets of keys, by shard, and for each key the place of its bucket among all; -1 for none."""
        where = np.full(len(hashes), -1, dtype=np.int64)
        shards = self._groups.numbers_of(asked, hashes)
        order = np.argsort(shards, kind="stable")
        edges = [0, *(np.flatnonzero(np.diff(shards[order])) + 1).tolist(), len(order)]
        parts, count = [], 0
        for start, end in pairwise(edges):
            keys = order[start:end]
            if not len(keys) or shards[keys[0]] < 0:
                continue
            buckets = self._buckets(int(shards[keys[0]]))
            numbers = buckets.numbers_of(hashes[keys])
            keys, numbers = keys[numbers >= 0], numbers[numbers >= 0]
            some, places = np.unique(numbers, return_inverse=True)
            where[keys] = places + count
            parts.append((buckets, buckets.runs(some)))
            count += len(some)
        return parts, where

    def _buckets(self, number: int) -> Buckets:
        rows = self._shards[number].row_major
        assert rows is not None  # noqa: S101  (a version has rows files, or has none)
        return rows.buckets()
