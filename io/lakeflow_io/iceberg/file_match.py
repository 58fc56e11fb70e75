"""A data file's entry in a manifest -> what is certain of its rows, without opening it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from lakeflow_io.iceberg.comparable import comparable
from lakeflow_io.iceberg.verdict import judge_of
from lakeflow_io.parquet.statistics import ALL_NULL, UNKNOWN, Bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType, PrimitiveType

    from lakeflow_io.iceberg.verdict import Judge, Match

__all__ = ["FileFacts", "FileJudge", "file_bounds"]


class FileFacts(Protocol):
    """What is looked at of a data file: a `LiveFile`'s, or pyiceberg's `DataFile`'s."""

    @property
    def spec_id(self) -> int:
        """Of its partition spec."""
        ...

    @property
    def partition(self) -> Any:
        """Its partition values, by position."""
        ...

    @property
    def value_counts(self) -> Mapping[int, int] | None:
        """By field id, as all others."""
        ...

    @property
    def null_value_counts(self) -> Mapping[int, int] | None:
        """Of these, nulls."""
        ...

    @property
    def lower_bounds(self) -> Mapping[int, bytes] | None:
        """In Iceberg's single-value binary form."""
        ...

    @property
    def upper_bounds(self) -> Mapping[int, bytes] | None:
        """As lower bounds."""
        ...


@dataclass(frozen=True, slots=True)
class FileJudge:
    """One filter, for files of any of a table's partition specs."""

    judge: Judge
    columns: dict[int, IcebergType]
    specs: Mapping[int, PartitionSpec]

    @classmethod
    def of(cls, predicate: BooleanExpression, schema: Schema, specs: Mapping[int, PartitionSpec]) -> FileJudge:
        """Compile a filter that is known to fit the schema."""
        from pyiceberg.expressions.visitors import bind

        return cls(*judge_of(bind(schema, predicate, case_sensitive=True)), specs)

    def match(self, file: FileFacts) -> Match:
        """How many rows of a file pass: NONE and ALL are certain, as far as its writer left the truth."""
        spec = self.specs[file.spec_id]
        return self.judge({each: file_bounds(file, spec, each, kind) for each, kind in self.columns.items()})


def file_bounds(file: FileFacts, spec: PartitionSpec, field_id: int, kind: IcebergType) -> Bounds:
    """What is known of a column's values: from the file's partition where that has them as they are, else bounds."""
    for position, part in enumerate(spec.fields):
        if part.source_id == field_id and str(part.transform) == "identity":
            value = file.partition[position]
            plain = None if value is None else comparable(value, kind)
            return ALL_NULL if value is None else Bounds(plain, plain, nulls=False, values=True)
    rows, nulls = (file.value_counts or {}).get(field_id), (file.null_value_counts or {}).get(field_id)
    if rows is None or nulls is None:
        return UNKNOWN
    low, high = (_bound(bounds, field_id, kind) for bounds in (file.lower_bounds, file.upper_bounds))
    if low is None or high is None or not low <= high:
        low = high = None
    return Bounds(low, high, nulls=nulls != 0, values=nulls != rows)


def _bound(bounds: Mapping[int, bytes] | None, field_id: int, kind: IcebergType) -> Any:
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import DoubleType, FloatType, IntegerType, LongType

    raw = (bounds or {}).get(field_id)
    if raw is None:
        return None
    if len(raw) == 4:  # noqa: PLR2004  (bytes; the file was written before its column was promoted)
        kind = IntegerType() if isinstance(kind, LongType) else FloatType() if isinstance(kind, DoubleType) else kind
    try:
        return comparable(from_bytes(cast("PrimitiveType", kind), raw), kind)
    except Exception:  # noqa: BLE001  (another writer's bytes: whatever they do, they tell nothing)
        return None
