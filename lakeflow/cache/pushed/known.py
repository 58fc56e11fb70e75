"""A version in a store that has a value for each row: `Known`, for the reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.files.columns import answer_schema
from lakeflow.cache.keys.column import key_of
from lakeflow.cache.pushed.codec import RowCodec

if TYPE_CHECKING:
    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.pushed.version import PushedVersion

__all__ = ["KnownVersion"]


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A version as a reader keeps it."""

    pointer: bytes
    """What the store's pointer held when it named this version."""
    pushed: PushedVersion
    key: KeyColumn
    codec: RowCodec

    @classmethod
    def of(cls, pointer: bytes, pushed: PushedVersion) -> KnownVersion:
        """Prepare for reading what a pointer named."""
        return cls(pointer, pushed, key_of(pushed.schema, pushed.key), RowCodec(pushed.schema, pushed.key))

    def row(self, key: Key, value: bytes | None, names: list[str]) -> dict[str, Any] | None:
        """Return the columns `names` of a row, as `Cache.get` does; None where there is none.

        Raises:
            CorruptFileError: the value isn't one of this version.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        if value is None:
            return None
        row = self.codec.row(key, value)
        return {name: row[name] for name in names}

    def table(self, asked: pa.Array, values: list[bytes | None], names: list[str]) -> pa.Table:
        """Return the columns `names` of one row per key and, as the last, whether it was found.

        Args:
            asked: The keys, of the key column's type.
            values: The row of each, None where there is none.
            names: Columns of this version.

        Raises:
            CorruptFileError: a value isn't one of this version.
        """
        given = {**self.codec.columns(values), **self.key.columns(asked)}
        hits = pa.array([value is not None for value in values], pa.bool_())
        arrays = [*(given[name] for name in names), hits]
        return pa.Table.from_arrays(arrays, schema=answer_schema(self.pushed.schema, names))
