"""A predicate and partition values -> the files that can hold rows, before any of them is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.iceberg.internals import arrow_filter
from lakeflow_io.iceberg.predicate import referenced_columns

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema

__all__ = ["surviving"]


def surviving(predicate: BooleanExpression | None, schema: Schema, values: pa.Table) -> list[int]:
    """The rows of `values` whose files can hold rows that pass.

    The very filter that rows pass later is applied to the partition values, so that nulls and
    promotions mean the same in both places.

    Args:
        predicate: Unbound and without `not`, as `parse_filter` returns it.
        schema: Of the whole folder.
        values: Partition values, one row a file.
    """
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.expressions.visitors import bind

    everything = list(range(values.num_rows))
    known = AlwaysTrue() if predicate is None else _about(predicate, set(values.column_names))
    if isinstance(known, AlwaysTrue):
        return everything
    number = "".join(values.column_names) + "#"  # longer than any of them, so none of them
    rows = values.append_column(number, pa.array(everything, pa.int64()))
    kept: list[int] = rows.filter(arrow_filter(bind(schema, known, case_sensitive=True), schema))[number].to_pylist()
    return kept


def _about(expression: BooleanExpression, names: set[str]) -> BooleanExpression:
    """What a predicate says of some columns alone: never less than it lets through."""
    from pyiceberg.expressions import AlwaysTrue, And, Or

    if isinstance(expression, And):
        return And(_about(expression.left, names), _about(expression.right, names))
    if isinstance(expression, Or):
        return Or(_about(expression.left, names), _about(expression.right, names))
    return expression if names.issuperset(referenced_columns(expression)) else AlwaysTrue()
