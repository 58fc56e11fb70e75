"""Comparisons with numbers, written so that every layer takes them for what they say.

pyiceberg takes a number that a column's type lacks for the type's largest or smallest one where it stands in a list,
and an infinity of single precision for a number beyond all of it, by which `x < inf` is true of NaN, too. It takes
decimals of a column's own scale alone, and rounds floats to it. pyarrow has no decimal that is longer than its type,
and looks for a float in a list bit by bit, by which the two zeros differ.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.types import DecimalType, IcebergType

    _Exact = Callable[[Any, IcebergType], Any]

__all__ = ["exact_decimals", "exact_literals"]

_LARGEST = 3.4028234663852886e38  # of single precision: (2 - 2**-23) * 2**127


def exact_literals(expression: BooleanExpression, schema: Schema) -> BooleanExpression:
    """The same predicate without numbers that its columns can't hold, and without zeros in lists of floats.

    Args:
        expression: Unbound, without `not` around other predicates.
        schema: Has all columns that it names.
    """
    return _each(expression, schema, _compared, _listed)


def exact_decimals(expression: BooleanExpression, schema: Schema) -> BooleanExpression:
    """The same predicate with decimals of its columns' scales.

    A number between two that a column can hold becomes a comparison with the lower of them. A float is the decimal
    that it is written as.

    Args:
        expression: Unbound, without `not` around other predicates.
        schema: Has all columns that it names.
    """
    return _each(expression, schema, _rounded, _representable)


def _each(expression: BooleanExpression, schema: Schema, one: _Exact, some: _Exact) -> BooleanExpression:
    """A predicate in which `one` has changed each comparison with a value, and `some` each with a list."""
    from pyiceberg.expressions import And, In, LiteralPredicate, NotIn, Or

    if isinstance(expression, And | Or):
        return type(expression)(*(_each(side, schema, one, some) for side in (expression.left, expression.right)))
    if not isinstance(expression, In | NotIn | LiteralPredicate):
        return expression
    exact = one if isinstance(expression, LiteralPredicate) else some
    return cast("BooleanExpression", exact(expression, schema.find_type(str(cast("Any", expression.term).name))))


def _rounded(expression: Any, kind: IcebergType) -> Any:
    from pyiceberg import expressions
    from pyiceberg.types import DecimalType

    ice: Any = expressions
    value = _decimal(expression.literal.value)
    if value is None or not isinstance(kind, DecimalType):
        return expression
    term, (below, exact) = expression.term, _floor(value, kind)
    if exact:
        return type(expression)(term, below)
    if isinstance(expression, ice.EqualTo):
        return ice.AlwaysFalse()
    if isinstance(expression, ice.NotEqualTo):
        return ice.NotNull(term)
    less = isinstance(expression, ice.LessThan | ice.LessThanOrEqual)
    return (ice.LessThanOrEqual if less else ice.GreaterThan)(term, below)


def _representable(expression: Any, kind: IcebergType) -> Any:
    """`in` and `not in` without values that no row can have."""
    from pyiceberg import expressions
    from pyiceberg.types import DecimalType

    ice: Any = expressions
    values = [_decimal(literal.value) for literal in expression.literals]
    if None in values or not isinstance(kind, DecimalType):
        return expression
    found = [below for below, exact in (_floor(value, kind) for value in values if value is not None) if exact]
    if isinstance(expression, ice.In):
        return ice.In(expression.term, found) if found else ice.AlwaysFalse()
    return ice.NotIn(expression.term, found) if found else ice.NotNull(expression.term)


def _decimal(value: Any) -> Decimal | None:
    """A literal's value; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return None
    return None if number.is_nan() else number


def _floor(value: Decimal, kind: DecimalType) -> tuple[Decimal, bool]:
    """The largest number of a type's scale that isn't larger, and whether it is the same number.

    Not by arithmetic, which rounds. Far beyond the type all numbers are one that is just beyond.
    """
    scale, beyond = kind.scale, Decimal((0, (1,), kind.precision - kind.scale))
    if value.is_infinite() or (value and value.adjusted() > kind.precision - scale):
        value = beyond.copy_sign(value)
    sign, digits, exponent = value.as_tuple()
    if value and value.adjusted() < -scale - 1:
        digits, exponent = (1,), -scale - 1  # far less than a step
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    shift = int(exponent) + scale
    whole, rest = (unscaled * 10**shift, 0) if shift >= 0 else divmod(unscaled, 10**-shift)
    return Decimal((int(whole < 0), tuple(map(int, str(abs(whole)))), -scale)), not rest


def _range(kind: IcebergType) -> tuple[Any, Any] | None:
    """The least and the greatest number of a type; None where it has no such bounds."""
    from pyiceberg.types import DecimalType, FloatType, IntegerType, LongType

    if isinstance(kind, FloatType):
        return -_LARGEST, _LARGEST
    if isinstance(kind, DecimalType):
        most = Decimal((0, (9,) * kind.precision, -kind.scale))
        return most.copy_negate(), most  # not by arithmetic, which rounds
    bits = 31 if isinstance(kind, IntegerType) else 63 if isinstance(kind, LongType) else 0
    return (-(2**bits), 2**bits - 1) if bits else None


def _is_beyond(value: Any, kind: IcebergType) -> bool:
    known = _range(kind)
    if known is None or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return bool(value < known[0] or value > known[1])


def _listed(expression: Any, kind: IcebergType) -> Any:
    """`in` as a list of plain numbers, and comparisons for all others."""
    from pyiceberg import expressions
    from pyiceberg.types import DoubleType, FloatType

    ice: Any = expressions  # whose constructors are typed for its JSON form
    is_float = isinstance(kind, FloatType | DoubleType)
    term, values = expression.term, [literal.value for literal in expression.literals]
    apart = [value for value in values if (is_float and value == 0) or _is_beyond(value, kind)]
    if not apart:
        return expression
    listed = isinstance(expression, ice.In)
    join, compare = (ice.Or, ice.EqualTo) if listed else (ice.And, ice.NotEqualTo)
    plain = [value for value in values if value not in apart]
    parts = [_compared(compare(term, value), kind) for value in apart]
    return reduce(join, [(ice.In if listed else ice.NotIn)(term, plain), *parts] if plain else parts)


def _compared(expression: Any, kind: IcebergType) -> Any:
    """A comparison with a number beyond a type, as what it is for each number of that type."""
    from pyiceberg import expressions
    from pyiceberg.types import FloatType

    ice: Any = expressions
    value = expression.literal.value
    if not _is_beyond(value, kind):
        return expression
    if isinstance(kind, FloatType):
        return _compared_with_infinities(expression, value)
    below = (ice.LessThan, ice.LessThanOrEqual) if value > 0 else (ice.GreaterThan, ice.GreaterThanOrEqual)
    return ice.NotNull(expression.term) if isinstance(expression, (*below, ice.NotEqualTo)) else ice.AlwaysFalse()


def _compared_with_infinities(expression: Any, value: float) -> Any:
    """Of single precision: beyond its largest number lies one infinity alone."""
    from pyiceberg import expressions

    ice: Any = expressions
    term, infinite = expression.term, abs(value) == float("inf")
    edge = _LARGEST if value > 0 else -_LARGEST
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
