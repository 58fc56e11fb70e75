"""Partition values as columns -> Python values, and what a partition is called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

    from lakeflow_io.iceberg.manifests.entries import Entries
    from lakeflow_io.iceberg.manifests.program import Slot

__all__ = ["PartitionColumns", "PartitionNames"]

_DECIMAL = re.compile(r"decimal\((\d+), (\d+)\)")


@dataclass(frozen=True, slots=True)
class PartitionColumns:
    """The partition values of one manifest's files."""

    spec_id: int
    _arrays: tuple[pa.Array | None, ...]
    """In the order of the spec's fields; None where all is null."""
    _slots: tuple[Slot | None, ...]

    @classmethod
    def of(cls, entries: Entries, spec: PartitionSpec | None) -> PartitionColumns:
        """Those of some entries. A spec that the table doesn't know has no values."""
        names = [f"partition:{part.field_id}" for part in (spec.fields if spec else ())]
        arrays = tuple(entries.arrays.get(name) for name in names)
        return cls(entries.manifest.spec_id, arrays, tuple(entries.slots.get(name) for name in names))

    def row(self, index: int) -> tuple[Any, ...]:
        """One file's values, as pyiceberg has them: dates and times are numbers."""
        return tuple(
            None if array is None else _converted(array[index].as_py(), slot)
            for array, slot in zip(self._arrays, self._slots, strict=True)
        )


def _converted(value: Any, slot: Slot | None) -> Any:
    if value is None or slot is None:
        return value
    if slot.type == "string":
        return value.decode()
    if slot.type == "boolean":
        return bool(value)
    if slot.logical == "uuid":
        return UUID(bytes=value)
    decimal = _DECIMAL.fullmatch(slot.logical)
    if decimal:
        unscaled = int.from_bytes(value, "big", signed=True)
        return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -int(decimal[2])))
    return value


@dataclass(slots=True)
class PartitionNames:
    """What partitions are called, each worked out once."""

    specs: dict[int, PartitionSpec]
    schema: Schema
    _known: dict[tuple[int, str], tuple[str, str, tuple[tuple[int, Any], ...]]] = field(default_factory=dict)

    def of(self, spec_id: int, values: tuple[Any, ...]) -> tuple[str, str, tuple[tuple[int, Any], ...]]:
        """A partition's name for people, its exact key, and the values of the columns that it is made of."""
        text = repr(list(values))
        known = self._known.get((spec_id, text))
        if known is None:
            from pyiceberg.typedef import Record

            spec = self.specs[spec_id]
            known = spec.partition_to_path(Record(*values), self.schema), f"{spec_id}:{text}", _identities(spec, values)
            self._known[spec_id, text] = known
        return known


def _identities(spec: PartitionSpec, values: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    from pyiceberg.transforms import IdentityTransform

    return tuple(
        (part.source_id, value)
        for part, value in zip(spec.fields, values, strict=True)
        if isinstance(part.transform, IdentityTransform)
    )
