"""Finds rows by key in buckets, wherever these come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.files.shard import find_rows
from lakeflow.cache.rows.unpacking import ManyRows, OneRow, row_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.rows.fields import Fields

__all__ = ["RowFinder"]

_REMEMBERED = 64  # choices of columns for which what decodes them is kept


@dataclass(frozen=True, slots=True)
class RowFinder:
    """Looks into buckets of rows of one schema; any number of threads may at once."""

    key: KeyColumn
    fields: Fields
    _decoders: dict[tuple[str, ...] | None, OneRow] = field(default_factory=dict)

    def row(self, key: Key, key_hash: int, bucket: bytes, names: Sequence[str] | None = None) -> dict[str, Any] | None:
        """Return the row of a key, as `Cache.get` does; None where it isn't in its bucket.

        Args:
            key: As `KeyColumn.check` returns it.
            key_hash: Its hash.
            bucket: The one in which it is, if it is anywhere.
            names: Which columns, in this order; all where None.

        Raises:
            CorruptFileError: these bytes are no bucket of such rows.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        decoder, number = self._decoder(names), -1
        while (found := row_in(bucket, key_hash, number)) is not None:
            number, data = found
            columns = decoder.values(data)
            if self._key_in(columns) == key:
                return columns if names is None else {name: columns[name] for name in names}
        return None

    def rows(
        self,
        asked: pa.Array,
        hashes: NDArray[np.uint64],
        buckets: Sequence[bytes | memoryview | None],
        where: NDArray[np.int64],
        names: Sequence[str],
    ) -> tuple[NDArray[np.bool_], dict[str, pa.Array]]:
        """Return of each key whether it has a row, and columns with a value for each; null where it has none.

        Args:
            asked: The keys, of the key column's type.
            hashes: Theirs.
            buckets: In which they are, if they are anywhere; None for one without rows.
            where: For each key the place of its bucket among these; less than 0 where it has none.
            names: Which columns.

        Raises:
            CorruptFileError: a bucket isn't one of such rows.
        """
        rows = ManyRows.of(self.fields, buckets, hashes, where)
        places = find_rows(_Keys(rows, self.key), rows.hashes, asked, hashes, rows.firsts)
        return places >= 0, rows.columns(names, places)

    def _decoder(self, names: Sequence[str] | None) -> OneRow:
        chosen = None if names is None else tuple(names)
        found = self._decoders.get(chosen)
        if found is None:
            found = OneRow(self.fields, None if chosen is None else {*chosen, *self.key.names})
            if len(self._decoders) < _REMEMBERED:
                self._decoders[chosen] = found
        return found

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
