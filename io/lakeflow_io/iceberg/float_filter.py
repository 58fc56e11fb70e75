"""Comparisons of floats, written so that every layer takes them for what IEEE 754 says.

pyarrow looks for a value in a list bit by bit, by which the two zeros differ. And pyiceberg takes an infinity for a
number beyond all of single precision, by which `x < inf` is always true, of NaN too.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema

__all__ = ["exact_floats"]

_LARGEST = 3.4028234663852886e38  # of single precision: (2 - 2**-23) * 2**127


def exact_floats(expression: BooleanExpression, schema: Schema) -> BooleanExpression:
    """The same predicate on columns of floats, without zeros in lists and numbers that single precision lacks.

    Args:
        expression: Unbound, without `not` around other predicates.
        schema: Has all columns that it names.
    """
    from pyiceberg.expressions import And, In, LiteralPredicate, NotIn, Or
    from pyiceberg.types import DoubleType, FloatType

    if isinstance(expression, And | Or):
        return type(expression)(exact_floats(expression.left, schema), exact_floats(expression.right, schema))
    if not isinstance(expression, In | NotIn | LiteralPredicate):
        return expression
    kind = schema.find_type(str(cast("Any", expression.term).name))
    if not isinstance(kind, FloatType | DoubleType):
        return expression
    single = isinstance(kind, FloatType)
    if isinstance(expression, LiteralPredicate):
        return _compared(expression, expression.literal.value) if single else expression
    return _listed(expression, single=single)


def _listed(expression: Any, *, single: bool) -> BooleanExpression:
    """`in` as a list of plain numbers and comparisons for all others."""
    from pyiceberg import expressions

    ice: Any = expressions  # whose constructors are typed for its JSON form
    term, values = expression.term, [literal.value for literal in expression.literals]
    apart = [value for value in values if value == 0 or (single and _is_beyond(value))]
    if not apart:
        return cast("BooleanExpression", expression)
    listed = isinstance(expression, ice.In)
    join, compare = (ice.Or, ice.EqualTo) if listed else (ice.And, ice.NotEqualTo)
    plain = [value for value in values if value not in apart]
    compared = [compare(term, value) for value in apart]
    parts = [_compared(each, value) for each, value in zip(compared, apart, strict=True)] if single else compared
    return cast(
        "BooleanExpression", reduce(join, [(ice.In if listed else ice.NotIn)(term, plain), *parts] if plain else parts)
    )


def _is_beyond(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) > _LARGEST


def _compared(expression: Any, value: Any) -> Any:
    """A comparison of single precision with a number beyond it, as one with the largest there is."""
    from pyiceberg import expressions

    ice: Any = expressions
    if not _is_beyond(value):
        return expression
    term, infinite = expression.term, abs(value) == float("inf")
    edge = _LARGEST if value > 0 else -_LARGEST
    # Beyond the edge lies one infinity alone.
    beyond, reaching, within = (
        (ice.GreaterThan, ice.GreaterThanOrEqual, ice.LessThanOrEqual)
        if value > 0
        else (ice.LessThan, ice.LessThanOrEqual, ice.GreaterThanOrEqual)
    )
    if isinstance(expression, ice.EqualTo):
        return beyond(term, edge) if infinite else ice.AlwaysFalse()
    if isinstance(expression, ice.NotEqualTo):
        return ice.Or(within(term, edge), ice.IsNaN(term)) if infinite else ice.NotNull(term)
    if isinstance(expression, beyond):
        return ice.AlwaysFalse() if infinite else beyond(term, edge)
    if isinstance(expression, reaching):
        return beyond(term, edge)
    return ice.NotNaN(term) if infinite and isinstance(expression, within) else within(term, edge)
