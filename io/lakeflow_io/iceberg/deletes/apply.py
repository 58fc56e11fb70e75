"""The deletes of one data file, all kinds together, applied to its row groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow_io.iceberg.deletes.key import leaf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pyiceberg.types import NestedField

    from lakeflow_io.iceberg.deletes.equality import DeletedKeys
    from lakeflow_io.iceberg.deletes.key import Key
    from lakeflow_io.iceberg.plan import ReadSpec

__all__ = ["FileDeletes", "KeyColumns"]


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """Where a key's columns are among those that a scan reads."""

    columns: tuple[tuple[str, tuple[str, ...]], ...]
    """Of each compared column: a column that is read, and the names on the way from there."""
    extra: tuple[NestedField, ...]
    """What has to be read besides, under names that the table doesn't have."""

    @classmethod
    def of(cls, key: Key, spec: ReadSpec) -> KeyColumns:
        """Match a key with what a scan reads anyway."""
        from pyiceberg.types import NestedField, PrimitiveType

        read = {field.field_id: field for field in spec.filter_columns.fields}
        taken = {field.name for field in spec.filter_columns.fields}
        names, extra = {}, []
        for top in key.schema.fields:
            there = read.get(top.field_id)
            if there is not None and isinstance(top.field_type, PrimitiveType) and there.field_type == top.field_type:
                names[top.field_id] = there.name
                continue
            # A dropped column's name may be another one's now, and two keys may want different parts of a struct.
            inside = [each for each, (field_id, _) in zip(key.ids, key.leaves, strict=True) if field_id == top.field_id]
            name = "key " + ",".join(map(str, inside))
            while name in taken:
                name += "_"
            names[top.field_id] = name
            extra.append(
                NestedField(top.field_id, name, top.field_type, required=False, initial_default=top.initial_default)
            )
        return cls(tuple((names[field_id], path) for field_id, path in key.leaves), tuple(extra))


@dataclass(frozen=True, slots=True)
class FileDeletes:
    """What is deleted of one data file."""

    positions: NDArray[np.uint64] | None
    """Of rows, counted from the file's first one, ascending."""
    keys: tuple[tuple[DeletedKeys, int, KeyColumns], ...]
    """Deleted keys, the lowest sequence number that applies, and where their columns are."""

    @property
    def bytes(self) -> int:
        """Of memory, without what other files share."""
        return self.positions.nbytes if self.positions is not None else 0

    @property
    def extra(self) -> tuple[NestedField, ...]:
        """Columns that have to be read besides the scan's, each once."""
        return tuple({field.name: field for _, _, where in self.keys for field in where.extra}.values())

    @property
    def looked_at(self) -> tuple[str, ...]:
        """All columns whose values are compared."""
        return tuple(dict.fromkeys(name for _, _, where in self.keys for name, _ in where.columns))

    def known(self, first: int, rows: int) -> int:
        """How many rows of a row group are deleted for sure, without a look at it.

        Args:
            first: Position of its first row in the file.
            rows: In it.
        """
        return len(self._within(first, rows))

    def surviving(
        self, first: int, rows: int, passing: pa.Array | None, columns: Mapping[str, pa.ChunkedArray]
    ) -> pa.Array | None:
        """Numbers of a row group's rows that aren't deleted, ascending; None where none is.

        Args:
            first: Position of its first row in the file.
            rows: In it.
            passing: Numbers of the rows that pass the filter; None where all do.
            columns: `looked_at`, shaped.
        """
        left = passing.to_numpy() if passing is not None else None
        left = _without(left, self._within(first, rows), rows)
        for keys, least, where in self.keys:
            if left is None or len(left):
                compared = [leaf(columns, name, path) for name, path in where.columns]
                left = _without(left, keys.rows(compared, least, left), rows)
        return pa.array(left.astype(np.int32, copy=False)) if left is not None else None

    def _within(self, first: int, rows: int) -> NDArray[np.uint64]:
        if self.positions is None:
            return np.empty(0, np.uint64)
        begin, end = np.searchsorted(self.positions, np.array([first, first + rows], np.uint64))
        return self.positions[begin:end] - np.uint64(first)


def _without(left: NDArray[Any] | None, gone: NDArray[Any], rows: int) -> NDArray[Any] | None:
    if not len(gone):
        return left
    alive = np.ones(rows, np.bool_)
    alive[gone] = False
    return np.flatnonzero(alive) if left is None else left[alive[left]]
