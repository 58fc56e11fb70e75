"""The keys of rows that are to be joined with a table: which rows of it have one, which files may.

The join is by hash, in Arrow's own kernel. A key of several columns becomes one number: each column's place among
the distinct values of the keys, combined like digits. So it is exact, and a row of the table whose value is among no
key's drops out at once. Null is equal to nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from lakeflow_io.errors import DuplicateKeyError, InputError, NotFoundError
from lakeflow_io.iceberg.comparable import comparable
from lakeflow_io.iceberg.file_match import file_bounds
from lakeflow_io.iceberg.partition import binary_value, partition_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

    from lakeflow_io.iceberg.file_match import FileFacts

__all__ = ["Keys", "key_columns"]

# A file's bounds are held against so many ranges of keys, of equally many each: files between two are left alone.
_RANGES = 4096
_MOST_SHOWN = 3
# Two columns' numbers are combined in 64 bits; where they might not fit, the first are numbered anew.
_MOST_COMBINED = 2**62


def key_columns(key: Sequence[str] | str, schema: pa.Schema, what: str) -> list[str]:
    """The names that `key` means.

    Args:
        key: As the caller gave it.
        schema: The table's.
        what: The table's name, for messages.

    Raises:
        InputError: there are none, or one has a type in which equal isn't certain.
        NotFoundError: the table hasn't one.
    """
    names = [key] if isinstance(key, str) else list(key)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"key={key!r} names no columns of {what}.", "give a column's name, or a list of names.")
    for name in names:
        if name not in schema.names:
            raise NotFoundError.among("column", name, f"{what} (named as its key)", schema.names)
        kind = schema.field(name).type
        if kinds.is_floating(kind) or kinds.is_nested(kind):
            raise InputError(
                f"Column {name!r} of {what} is no key: it is of type {kind}.",
                "join by whole numbers, text, bytes, decimals, dates or times.",
            )
    return list(dict.fromkeys(names))


@dataclass(slots=True)
class _Step:
    """One more column of a key."""

    distinct: pa.Array
    """Its values among the keys."""
    before: pa.Array | None = None
    """The combined numbers so far that occur; None where they are few enough as they are."""


class Keys:
    """The keys of some rows, ready to be looked up.

    Args:
        rows: Of the table's types; the key's columns at least.
        names: The key's columns.
        schema: The table's.

    Raises:
        DuplicateKeyError: two rows have one key; names the first few.
    """

    def __init__(self, rows: pa.Table, names: Sequence[str], schema: Schema) -> None:
        self.names = list(names)
        self._schema = schema
        columns = [_flat(rows[name]) for name in self.names]
        self._steps: list[_Step] = []
        self._values = columns[0] if len(columns) == 1 else self._learn(columns)
        self._refuse_twice(rows)
        present = [column.is_valid().to_numpy(zero_copy_only=False) for column in columns]
        self._rows = rows.select(self.names).filter(pa.array(np.logical_and.reduce(present)))
        self._ranges = {name: _ranges(schema, name, self._rows[name]) for name in self.names}
        self._partitions: dict[int, tuple[list[int], set[tuple[str | None, ...]]]] = {}

    def rows_of(self, rows: pa.Table) -> pa.Array:
        """Which key each row has: its number among the keys' rows; null where it has none.

        Args:
            rows: Of the table's types; the key's columns at least.
        """
        columns = [_flat(rows[name]) for name in self.names]
        values = columns[0] if len(columns) == 1 else self._combine(columns)
        return _places(values, self._values)

    def may_be_in(self, file: FileFacts, specs: Mapping[int, PartitionSpec]) -> bool:
        """Whether a data file may hold a row that has one of the keys, as far as its manifest tells."""
        spec = specs[file.spec_id]
        if not all(self._overlaps(name, file, spec) for name in self.names):
            return False
        positions, known = self._partition_values(spec)
        if not positions:
            return True
        types = spec.partition_type(self._schema).fields
        return tuple(binary_value(types[each].field_type, file.partition[each]) for each in positions) in known

    def _overlaps(self, name: str, file: FileFacts, spec: PartitionSpec) -> bool:
        ranges = self._ranges[name]
        field = self._schema.find_field(name)
        low, high, _, values = file_bounds(file, spec, field.field_id, field.field_type)
        if not values or ranges == ([], []):
            return False
        if low is None or ranges is None:
            return True
        lows, highs = ranges
        first = bisect_left(highs, low)  # the first range that doesn't end below the file's values
        if first == len(highs):
            return False
        # A text may be longer than the upper bound that it begins with.
        return bool(lows[first] <= high or (isinstance(high, bytes) and lows[first].startswith(high)))

    def _partition_values(self, spec: PartitionSpec) -> tuple[list[int], set[tuple[str | None, ...]]]:
        """Which of a spec's fields are made of the key, and what they can be."""
        from pyiceberg.partitioning import PartitionSpec
        from pyiceberg.transforms import UnknownTransform, VoidTransform

        found = self._partitions.get(spec.spec_id)
        if found is None:
            ids = {self._schema.find_field(name).field_id for name in self.names}
            of_key = [
                position
                for position, part in enumerate(spec.fields)
                if part.source_id in ids and not isinstance(part.transform, VoidTransform | UnknownTransform)
            ]
            own = PartitionSpec(*(spec.fields[position] for position in of_key))
            known = {values for values, _ in partition_rows(self._rows, self._schema, own)} if of_key else set()
            found = self._partitions[spec.spec_id] = (of_key, known)
        return found

    def _learn(self, columns: list[pa.Array]) -> pa.Array:
        combined: Any = None
        size = 1
        for column in columns:
            step = _Step(column.drop_null().unique())
            own = max(1, len(step.distinct))
            if combined is not None and size * own > _MOST_COMBINED:
                before: Any = combined.drop_null().unique()
                step.before, size = before, max(1, len(before))
            combined = _with_digit(combined, step, column)
            size *= own
            self._steps.append(step)
        return combined

    def _combine(self, columns: list[pa.Array]) -> pa.Array:
        combined = None
        for step, column in zip(self._steps, columns, strict=True):
            combined = _with_digit(combined, step, column)
        return combined

    def _refuse_twice(self, rows: pa.Table) -> None:
        present = self._values.drop_null()
        if len(present.unique()) == len(present):
            return
        counted = present.value_counts()
        twice = counted.filter(pa.array(counted.field("counts").to_numpy() > 1)).field("values")
        first = _places(twice.slice(0, _MOST_SHOWN), self._values)
        shown = rows.select(self.names).take(first).to_pylist()
        texts = [", ".join(f"{name}={value!r}" for name, value in row.items()) for row in shown]
        more = f" and {len(twice) - len(texts)} more" if len(twice) > len(texts) else ""
        raise DuplicateKeyError(
            f"{len(twice)} keys are there more than once among the rows: " + "; ".join(texts) + more + ".",
            "keep one row of each key, or add a column to the key.",
        )


def _with_digit(combined: pa.Array | None, step: _Step, column: pa.Array) -> pa.Array:
    own = _places(column, step.distinct).cast(pa.int64())
    if combined is None:
        return own
    if step.before is not None:
        combined = _places(combined, step.before).cast(pa.int64())
    shifted = pc.call_function("multiply", [combined, pa.scalar(max(1, len(step.distinct)))])
    return pc.call_function("add", [shifted, own])


def _places(values: pa.Array, among: pa.Array) -> pa.Array:
    """Where each value stands among others; null where it doesn't, and where it is null."""
    return pc.call_function("index_in", [values], pc.SetLookupOptions(value_set=among, skip_nulls=True))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    return whole.storage if isinstance(whole, pa.ExtensionArray) else whole


def _ranges(schema: Schema, name: str, column: pa.ChunkedArray) -> tuple[list[Any], list[Any]] | None:
    """The least and the largest of neighbouring keys, in ascending order; None where they have no order."""
    values = _flat(column)
    if len(values) == 0:
        return [], []
    ordered = values.take(pc.call_function("array_sort_indices", [values]))
    cuts = np.unique(np.linspace(0, len(ordered), min(_RANGES, len(ordered)) + 1).astype(np.int64))
    kind = schema.find_field(name).field_type
    lows = [_comparable(ordered[int(start)], kind) for start in cuts[:-1]]
    highs = [_comparable(ordered[int(end) - 1], kind) for _, end in pairwise(cuts)]
    return None if None in lows or None in highs else (lows, highs)


def _comparable(value: pa.Scalar, kind: Any) -> Any:
    """As `comparable`, of an Arrow value: dates and times are counts there."""
    if pa.types.is_temporal(value.type):
        return int(value.value)
    return comparable(value.as_py(), kind)
