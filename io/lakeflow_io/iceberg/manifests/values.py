"""Partition values as columns -> Python values, and what a partition is called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

    from lakeflow_io.iceberg.manifests.entries import Entries
    from lakeflow_io.iceberg.manifests.program import Slot

__all__ = ["Partition", "PartitionColumns", "PartitionNames"]

_DECIMAL = re.compile(r"decimal\((\d+), (\d+)\)")


@dataclass(frozen=True, slots=True)
class PartitionColumns:
    """The partition values of one manifest's files."""

    spec_id: int
    count: int
    """Files."""
    _arrays: tuple[pa.Array | None, ...]
    """In the order of the spec's fields; None where all is null."""
    _slots: tuple[Slot | None, ...]

    @classmethod
    def of(cls, entries: Entries, spec: PartitionSpec | None) -> PartitionColumns:
        """Those of some entries. A spec that the table doesn't know has no values."""
        names = [f"partition:{part.field_id}" for part in (spec.fields if spec else ())]
        arrays = tuple(entries.arrays.get(name) for name in names)
        return cls(entries.manifest.spec_id, entries.count, arrays, tuple(entries.slots.get(name) for name in names))

    def rows(self) -> list[tuple[Any, ...]]:
        """Each file's values, as pyiceberg has them: dates and times are numbers."""
        if not self._arrays:
            return [()] * self.count
        return list(zip(*(self._column(i) for i in range(len(self._arrays))), strict=True))

    def partitions(self, names: PartitionNames) -> list[Partition]:
        """Each file's partition."""
        keys = [
            # Floats that are equal may differ: 0.0 and -0.0; and NaN is unequal to itself.
            [repr(value) for value in self._column(i)] if _is_float(slot) else self._column(i)
            for i, slot in enumerate(self._slots)
        ]
        texts = zip(*keys, strict=True) if keys else [()] * self.count
        known: dict[tuple[Any, ...], Partition] = {}
        found = []
        for key, values in zip(texts, self.rows(), strict=True):
            partition = known.get(key)
            if partition is None:
                partition = known[key] = names.of(self.spec_id, values)
            found.append(partition)
        return found

    def _column(self, index: int) -> list[Any]:
        array, slot = self._arrays[index], self._slots[index]
        if array is None or slot is None:
            return [None] * self.count
        convert = _conversion(slot)
        values = array.to_pylist()
        return values if convert is None else [None if value is None else convert(value) for value in values]


def _is_float(slot: Slot | None) -> bool:
    return slot is not None and slot.type in ("float", "double")


def _conversion(slot: Slot) -> Callable[[Any], Any] | None:
    """From what is in the column; None where that is the value itself."""
    if slot.type == "string":
        return bytes.decode
    if slot.type == "boolean":
        return bool
    if slot.logical == "uuid":
        return lambda value: UUID(bytes=value)
    decimal = _DECIMAL.fullmatch(slot.logical)
    if decimal:
        exponent = -int(decimal[2])
        return lambda value: _decimal(int.from_bytes(value, "big", signed=True), exponent)
    return None


def _decimal(unscaled: int, exponent: int) -> Decimal:
    # Not by arithmetic, which rounds.
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), exponent))


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a table."""

    spec_id: int
    values: tuple[Any, ...]
    name: str
    """For people."""
    key: str
    """Exactly."""
    constants: tuple[tuple[int, Any], ...]
    """Values, by field id, of the columns that it is made of."""


@dataclass(slots=True)
class PartitionNames:
    """What partitions are called, each worked out once."""

    specs: dict[int, PartitionSpec]
    schema: Schema
    _known: dict[str, Partition] = field(default_factory=dict)

    def of(self, spec_id: int, values: tuple[Any, ...]) -> Partition:
        """The partition with these values of a spec's fields."""
        key = f"{spec_id}:{list(values)!r}"
        known = self._known.get(key)
        if known is None:
            from pyiceberg.typedef import Record

            spec = self.specs[spec_id]
            name = spec.partition_to_path(Record(*values), self.schema)
            known = self._known[key] = Partition(spec_id, values, name, key, _identities(spec, values))
        return known


def _identities(spec: PartitionSpec, values: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    from pyiceberg.transforms import IdentityTransform

    return tuple(
        (part.source_id, value)
        for part, value in zip(spec.fields, values, strict=True)
        if isinstance(part.transform, IdentityTransform)
    )
