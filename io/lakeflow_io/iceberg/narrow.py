"""A read spec -> one that reads fewer columns or fewer rows of the same snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lakeflow_io.iceberg.plan import select_fields
from lakeflow_io.iceberg.predicate import referenced_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema

    from lakeflow_io.iceberg.plan import ReadSpec

__all__ = ["add_filter", "select_columns"]


def select_columns(spec: ReadSpec, columns: Sequence[str]) -> ReadSpec:
    """Only `columns`, which are known to be in `spec.columns`, in their new order."""
    return _spec(spec, spec.filter_columns, list(columns), spec.filter)


def add_filter(spec: ReadSpec, predicate: BooleanExpression, schema: Schema) -> ReadSpec:
    """Only rows for which `predicate` is true, too; it is known to fit `schema`, the whole table's."""
    from pyiceberg.expressions import And

    both = predicate if spec.filter is None else And(spec.filter, predicate)
    return _spec(spec, schema, [field.name for field in spec.columns.fields], both)


def _spec(spec: ReadSpec, schema: Schema, columns: list[str], predicate: BooleanExpression | None) -> ReadSpec:
    extra = [name for name in (referenced_columns(predicate) if predicate else []) if name not in columns]
    return replace(
        spec,
        columns=select_fields(schema, columns),
        filter_columns=select_fields(schema, columns + extra),
        filter=predicate,
    )
