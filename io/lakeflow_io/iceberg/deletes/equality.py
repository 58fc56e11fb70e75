"""Equality delete files -> the rows of a data file whose values are among them.

What is equal to what, is as in Iceberg's reference implementation (`StructLikeSet`, by `Comparators`): null
equals null; NaN equals NaN, whatever its bits; 0.0 and -0.0 differ; text and bytes are equal byte by byte.

A table that is written by many small commits has as many equality delete files, each of which applies to all
older data files. So those that compare the same columns are put together once, each key with the highest
sequence number at which it was deleted: a row is gone if that is higher than its file's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["DeletedKeys"]

_BITS = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


@dataclass(frozen=True, slots=True)
class _Column:
    """The distinct values of one compared column, numbered."""

    fixed: NDArray[np.int64] | None = field(repr=False)
    """Where values fit 64 bits, these, ascending: a search in them costs nothing to prepare."""
    values: pa.Array | None = field(repr=False)
    """Else the values as they are."""
    count: int
    null: bool
    """Whether null is one of them; it has the last number."""

    @classmethod
    def of(cls, column: pa.Array) -> _Column:
        null = column.null_count > 0
        if _fits(column.type):
            fixed = np.unique(_as_bits(column.drop_null()))
            return cls(fixed, None, len(fixed), null)
        values = column.drop_null().unique()
        return cls(None, values, len(values), null)

    @property
    def bytes(self) -> int:
        held = self.fixed if self.values is None else self.values
        return held.nbytes if held is not None else 0

    def numbers(self, column: pa.Array) -> NDArray[np.int64]:
        """The number of each value; -1 where it is none of them."""
        if self.fixed is not None:
            found = _find(self.fixed, _as_bits(column))
        else:
            there = pc.call_function("index_in", [column], pc.SetLookupOptions(self.values))
            found = pc.fill_null(there, -1).to_numpy().astype(np.int64)
        if column.null_count:
            found[column.is_null().to_numpy(zero_copy_only=False)] = self.count if self.null else -1
        return found


@dataclass(frozen=True, slots=True)
class DeletedKeys:
    """All keys that some delete files delete, for one set of columns."""

    _columns: list[_Column]
    _steps: list[NDArray[np.int64]] = field(repr=False)
    """Of the first two columns, three, ...: their numbers as one, ascending, of the combinations there are."""
    _newest: NDArray[np.int64] = field(repr=False)
    """By number of the whole key, the highest sequence number of a file that has it."""

    @property
    def bytes(self) -> int:
        """Of memory."""
        arrays = [*self._steps, self._newest]
        return sum(column.bytes for column in self._columns) + sum(each.nbytes for each in arrays)

    @classmethod
    def of(cls, columns: Sequence[pa.Array], sequences: NDArray[np.int64]) -> DeletedKeys:
        """Put keys together.

        Args:
            columns: The compared columns of all delete files, one behind the other.
            sequences: Of each row, its delete file's sequence number.
        """
        made = [_Column.of(column) for column in columns]
        whole, steps = made[0].numbers(columns[0]), []
        for known, column in zip(made[1:], columns[1:], strict=True):
            step, whole = np.unique(whole * (known.count + 1) + known.numbers(column), return_inverse=True)
            steps.append(step)
        order = np.argsort(sequences, kind="stable")
        newest = np.zeros(len(steps[-1]) if steps else made[0].count + 1, np.int64)
        newest[whole[order]] = sequences[order]  # the last one, the highest, stays
        return cls(made, steps, newest)

    def rows(self, columns: Sequence[pa.Array], least: int, among: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Numbers of the rows that are deleted, ascending.

        Args:
            columns: The same columns of a data file's row group, of the same types.
            least: The lowest sequence number of a delete file that applies to it.
            among: Rows that are looked at; None for all.
        """
        whole = self._columns[0].numbers(columns[0] if among is None else columns[0].take(pa.array(among)))
        hit = np.flatnonzero(whole >= 0)
        rows, whole = hit if among is None else among[hit], whole[hit]
        for known, step, column in zip(self._columns[1:], self._steps, columns[1:], strict=True):
            number = known.numbers(column.take(pa.array(rows)))
            found = _find(step, whole * (known.count + 1) + number)
            found[number < 0] = -1
            hit = np.flatnonzero(found >= 0)
            rows, whole = rows[hit], found[hit]
        return rows[self._newest[whole] >= least]


def _find(ordered: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each value is; -1 where it isn't there."""
    if not len(ordered):
        return np.full(len(values), -1, np.int64)
    found = np.searchsorted(ordered, values)
    found[found == len(ordered)] = 0
    found[ordered[found] != values] = -1
    return found


def _fits(kind: pa.DataType) -> bool:
    return kinds.is_primitive(kind) and not kinds.is_decimal(kind) and kind.bit_width <= 64  # noqa: PLR2004


def _as_bits(column: pa.Array) -> NDArray[np.int64]:
    """Numbers that are equal where values are; what is null becomes anything."""
    if kinds.is_boolean(column.type):
        return pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype(np.int64)  # noqa: FBT003
    if kinds.is_floating(column.type):
        numbers = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False)
        numbers = np.where(np.isnan(numbers), np.array(np.nan, numbers.dtype), numbers)
        return numbers.view(_BITS[numbers.itemsize]).astype(np.int64)
    plain = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())  # noqa: PLR2004  (bits)
    return pc.fill_null(plain, 0).to_numpy(zero_copy_only=False).astype(np.int64)
