"""A push as a reader keeps it: what it takes to ask for buckets, and to find rows in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.columns import answer_schema
from lakeflow.cache.hashing import hash_key
from lakeflow.cache.keys import key_of
from lakeflow.cache.shard import find_rows
from lakeflow.cache.valkey.fields import Fields
from lakeflow.cache.valkey.unpacking import ManyRows, OneRow, row_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lakeflow.cache.keys import Key, KeyColumn
    from lakeflow.cache.pushed.version import PushedVersion
    from lakeflow.cache.valkey.ledger import Push

__all__ = ["Found", "KnownPush"]


@dataclass(frozen=True, slots=True)
class Found:
    """The buckets in which many keys are, if they are anywhere."""

    hashes: NDArray[np.uint64]
    """Of the keys asked for, in their order."""
    buckets: list[bytes | None]
    """Each once, ascending."""


@dataclass(frozen=True, slots=True)
class KnownPush:
    """A `KnownVersion` in buckets."""

    pointer: bytes
    """The push's id."""
    push: Push
    key: KeyColumn
    fields: Fields
    one: OneRow

    @classmethod
    def of(cls, push: Push) -> KnownPush:
        """Prepare for reading a push."""
        version = push.version
        fields = Fields(version.schema)
        return cls(push.id.encode(), push, key_of(version.schema, version.key), fields, OneRow(fields))

    @property
    def pushed(self) -> PushedVersion:
        """The version that was pushed."""
        return self.push.version

    def row(self, key: Key, value: bytes | None, names: list[str]) -> dict[str, Any] | None:
        """Return the columns `names` of the row of a key, as `Cache.get` does; None where it isn't in its bucket.

        Raises:
            CorruptFileError: the bucket isn't one of this version.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        if value is None:
            return None
        key_hash, row = hash_key(key), -1
        while (found := row_in(value, key_hash, row)) is not None:
            row, data = found
            columns = self.one.values(data)
            if self._key_in(columns) == key:
                return {name: columns[name] for name in names}
        return None

    def table(self, asked: pa.Array, values: Found, names: list[str]) -> pa.Table:
        """Return the columns `names` of one row per key and, as the last, whether it was found.

        Args:
            asked: The keys, of the key column's type.
            values: Their buckets.
            names: Columns of this version.

        Raises:
            CorruptFileError: a bucket isn't one of this version.
        """
        rows = ManyRows.of(self.fields, values.buckets)
        places = find_rows(_Keys(rows, self.key), rows.hashes, asked, values.hashes)
        columns = rows.columns([name for name in names if name not in self.key.names], places)
        given = {**columns, **self.key.columns(asked)}
        arrays = [*(given[name] for name in names), pa.array(places >= 0)]
        return pa.Table.from_arrays(arrays, schema=answer_schema(self.pushed.schema, names))

    def _key_in(self, values: dict[str, Any]) -> Key:
        names = self.key.names
        return values[names[0]] if len(names) == 1 else tuple(values[name] for name in names)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of many rows, decoded where they are compared."""

    rows: ManyRows
    key: KeyColumn

    def take(self, places: pa.Array) -> pa.Array:
        columns = self.rows.columns(self.key.names, places.to_numpy())
        return self.key.keys_of(pa.RecordBatch.from_pydict({name: columns[name] for name in self.key.names}))
