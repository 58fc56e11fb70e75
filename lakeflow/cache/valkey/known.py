"""A push as a reader keeps it: what it takes to ask for buckets, and to find rows in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.files.columns import answer_schema
from lakeflow.cache.keys.column import key_of
from lakeflow.cache.keys.hashing import hash_key
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.rows.lookup import RowFinder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import Key, KeyColumn
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
    where: NDArray[np.int64]
    """For each key the place of its bucket among these."""


@dataclass(frozen=True, slots=True)
class KnownPush:
    """A `KnownVersion` in buckets."""

    pointer: bytes
    """The push's id."""
    push: Push
    finder: RowFinder

    @classmethod
    def of(cls, push: Push) -> KnownPush:
        """Prepare for reading a push."""
        version = push.version
        finder = RowFinder(key_of(version.schema, version.key), Fields(version.schema))
        return cls(push.id.encode(), push, finder)

    @property
    def key(self) -> KeyColumn:
        """What a key is."""
        return self.finder.key

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
        return None if value is None else self.finder.row(key, hash_key(key), value, names)

    def table(self, asked: pa.Array, values: Found, names: list[str]) -> pa.Table:
        """Return the columns `names` of one row per key and, as the last, whether it was found.

        Args:
            asked: The keys, of the key column's type.
            values: Their buckets.
            names: Columns of this version.

        Raises:
            CorruptFileError: a bucket isn't one of this version.
        """
        stored = [name for name in names if name not in self.key.names]
        found, columns = self.finder.rows(asked, values.hashes, values.buckets, values.where, stored)
        given = {**columns, **self.key.columns(asked)}
        arrays = [*(given[name] for name in names), pa.array(found)]
        return pa.Table.from_arrays(arrays, schema=answer_schema(self.pushed.schema, names))
