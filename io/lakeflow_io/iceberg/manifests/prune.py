"""Which manifests, and which of their files, can hold a row that a filter wants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyiceberg.expressions.visitors import bind, extract_field_ids

from lakeflow_io.iceberg.manifests.likely import likely_part
from lakeflow_io.iceberg.manifests.possible import possible
from lakeflow_io.iceberg.manifests.project import projected
from lakeflow_io.iceberg.manifests.ranges import Ends, Ranges, exact_ends, serialized_ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

    from lakeflow_io.iceberg.manifests.entries import Entries
    from lakeflow_io.iceberg.manifests.listing import ManifestList

    Mask = NDArray[np.bool_]

__all__ = ["Pruner"]


@dataclass(slots=True)
class Pruner:
    """One scan's filter.

    Args:
        schema: The columns that the filter names, at least, as the scan has them.
        predicate: The filter; None lets everything through.
        specs: All partition specs of the table.
    """

    schema: Schema
    predicate: BooleanExpression | None
    specs: dict[int, PartitionSpec]
    _projected: dict[int, BooleanExpression] = field(default_factory=dict, init=False)
    _bound: BooleanExpression | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.predicate is not None:
            self._bound = bind(self.schema, self.predicate, case_sensitive=True)

    @property
    def columns(self) -> frozenset[int]:
        """Field ids of the columns whose bounds it looks at."""
        return frozenset() if self._bound is None else frozenset(extract_field_ids(self._bound))

    def manifests(self, listed: ManifestList) -> Mask:
        """By the summaries that a manifest list has of partitions."""
        keep = np.ones(len(listed.manifests), bool)
        if self.predicate is None or not len(keep):
            return keep
        spec_ids = np.array([each.spec_id for each in listed.manifests])
        for spec_id in set(spec_ids.tolist()) & self.specs.keys():
            found = possible(self._partition(spec_id), self._summaries(listed, self.specs[spec_id]), len(keep))
            keep &= found | (spec_ids != spec_id)
        return keep

    def partitions(self, entries: Entries) -> Mask:
        """By partition values."""
        spec_id = entries.manifest.spec_id
        if self.predicate is None or spec_id not in self.specs:
            return np.ones(entries.count, bool)
        return possible(self._partition(spec_id), _partition_ranges(entries), entries.count)

    def files(self, entries: Entries) -> Mask:
        """Data files: by partition values, and by counts and bounds of columns. Empty ones never hold a row."""
        keep = entries.numbers("rows") != 0
        if self._bound is None:
            return keep
        return keep & self.partitions(entries) & possible(self._bound, _column_ranges(entries), entries.count)

    def located(self, entries: Entries) -> Entries:
        """Data files with a guess of where in them the rows are: `likely:begin` and `likely:end`, shares of a file."""
        part = None if self._bound is None else likely_part(self._bound, _column_ranges(entries))
        if part is None:
            return entries
        guessed = {f"likely:{name}": pa.array(each) for name, each in zip(("begin", "end"), part, strict=True)}
        return replace(entries, arrays=entries.arrays | guessed)

    def _partition(self, spec_id: int) -> BooleanExpression:
        if spec_id not in self._projected:
            assert self.predicate is not None  # noqa: S101  (callers have looked)
            self._projected[spec_id] = projected(self.schema, self.specs[spec_id], self.predicate)
        return self._projected[spec_id]

    @staticmethod
    def _summaries(listed: ManifestList, spec: PartitionSpec) -> Callable[[int, IcebergType], Ranges]:
        positions = {part.field_id: position for position, part in enumerate(spec.fields)}
        size = len(listed.manifests)

        def ranges(field_id: int, kind: IcebergType) -> Ranges:
            position = positions[field_id]
            low = serialized_ends(listed.summary("lower", position), kind)
            high = serialized_ends(listed.summary("upper", position), kind)
            nulls = _flag(listed.summary("null", position), size)
            nans = _flag(listed.summary("nan", position), size)
            # Without bounds all may be null, or the writer left them out.
            everywhere = np.ones(size, bool)
            return Ranges(low, high, nulls, everywhere, everywhere, nans)

        return ranges


def _flag(column: pa.Array | None, size: int) -> Mask:
    """What isn't told may be."""
    if column is None:
        return np.ones(size, bool)
    return column.fill_null(1).to_numpy(zero_copy_only=False) != 0


def _unknown(size: int) -> Ranges:
    everywhere = np.ones(size, bool)
    return Ranges(None, None, everywhere, everywhere, everywhere, everywhere)


def _partition_ranges(entries: Entries) -> Callable[[int, IcebergType], Ranges]:
    def ranges(field_id: int, kind: IcebergType) -> Ranges:
        name = f"partition:{field_id}"
        slot, column = entries.slots.get(name), entries.arrays.get(name)
        if slot is None:  # the file's schema hasn't the field
            return _unknown(entries.count)
        if column is None:  # null throughout
            nowhere = np.zeros(entries.count, bool)
            return Ranges(None, None, ~nowhere, nowhere, nowhere, nowhere)
        ends = exact_ends(column, slot, kind)
        if ends is None:
            return _unknown(entries.count)
        nans = ends.known & np.isnan(ends.values) if _is_float(ends.values) else np.zeros(entries.count, bool)
        one = Ends(ends.values, ends.known & ~nans)
        return Ranges(one, one, ~ends.known, ends.known, ends.known & ~nans, nans, exact=True)

    return ranges


def _column_ranges(entries: Entries) -> Callable[[int, IcebergType], Ranges]:
    def ranges(field_id: int, kind: IcebergType) -> Ranges:
        arrays = entries.arrays
        values, nulls = (entries.numbers(f"{name}:{field_id}", -1) for name in ("values", "nulls"))
        low, high = (serialized_ends(arrays.get(f"{name}:{field_id}"), kind) for name in ("lower", "upper"))
        counted = (values >= 0) & (nulls >= 0)
        some = ~(counted & (nulls >= values))
        if str(kind) not in ("float", "double"):
            return Ranges(low, high, nulls != 0, some, some, np.zeros(entries.count, bool))
        nans = entries.numbers(f"nans:{field_id}", -1)
        numbers = some & ~(counted & (nans >= 0) & (nulls + nans >= values))
        return Ranges(low, high, nulls != 0, some, numbers, some & (nans != 0))

    return ranges


def _is_float(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float64
