"""A filter on columns -> what it says of a spec's partition values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    In,
    LessThanOrEqual,
    Reference,
)
from pyiceberg.expressions.visitors import InclusiveProjection, bind
from pyiceberg.schema import Schema
from pyiceberg.transforms import TimeTransform, UnknownTransform, VoidTransform
from pyiceberg.types import NestedField

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionField, PartitionSpec

__all__ = ["partition_schema", "projected"]


def partition_schema(schema: Schema, spec: PartitionSpec) -> Schema:
    """The partition fields that can be compared, by their field ids and types.

    Those of dropped columns, and of transforms that nobody knows, aren't there.
    """
    fields = []
    for part in spec.fields:
        if isinstance(part.transform, UnknownTransform | VoidTransform):
            continue
        source = _field(schema, part.source_id)
        if source is not None:
            kind = part.transform.result_type(source.field_type)
            fields.append(NestedField(part.field_id, part.name, kind, required=False))
    return Schema(*fields)


def _field(schema: Schema, field_id: int) -> NestedField | None:
    try:
        return schema.find_field(field_id)
    except ValueError:
        return None


def projected(schema: Schema, spec: PartitionSpec, predicate: BooleanExpression) -> BooleanExpression:
    """What must hold of a file's partition values if a row of it can match; bound to `partition_schema`."""
    return bind(partition_schema(schema, spec), _Projection(schema, spec, True).project(predicate), case_sensitive=True)  # noqa: FBT003  (pyiceberg's signature)


class _Projection(InclusiveProjection):
    """pyiceberg's, but never wrong where it is careless or refuses."""

    def visit_bound_predicate(self, predicate: Any) -> BooleanExpression:
        """What one comparison says of each field that is made of its column."""
        known = {field.field_id for field in partition_schema(self.schema, self.spec).fields}
        found: BooleanExpression = AlwaysTrue()
        for part in self.spec.fields_by_source_id(predicate.term.ref().field.field_id):
            if part.field_id in known:
                found = And(found, _one(part, predicate))
        return found


def _one(part: PartitionField, predicate: Any) -> BooleanExpression:
    try:
        found = part.transform.project(name=part.name, pred=predicate)
    except (ValueError, TypeError, AttributeError):  # it has no rule for a literal of this type
        return AlwaysTrue()
    if found is None:
        return AlwaysTrue()
    return _widened(part.name, found) if isinstance(part.transform, TimeTransform) else found


def _widened(name: str, found: Any) -> BooleanExpression:
    """Writers before Iceberg 0.12 rounded times before 1970 up: a negative value may be stored as one more.

    Java's reader allows for it likewise (ProjectionUtil.fixInclusiveTimeProjection).
    """
    at: Any = Reference(name)
    if isinstance(found, LessThanOrEqual) and found.literal.value < 0:
        return _made(LessThanOrEqual, at, found.literal.value + 1)
    values = {found.literal.value} if isinstance(found, EqualTo) else set()
    if isinstance(found, In):
        values = {literal.value for literal in found.literals}
    if not any(value < 0 for value in values):
        return found
    return _made(In, at, values | {value + 1 for value in values if value < 0})


def _made(predicate: Any, term: Any, literal: Any) -> BooleanExpression:
    found: BooleanExpression = predicate(term, literal)
    return found
