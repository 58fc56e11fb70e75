"""`where`: text or an Iceberg expression -> a predicate that is known to fit the schema."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import FilterError, NotFoundError, UnsupportedError
from lakeflow_io.iceberg.literals import exact_decimals, exact_literals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema

__all__ = ["parse_filter", "referenced_columns"]

_SYNTAX = (
    "comparisons (=, !=, <, <=, >, >=), in (...), between, like 'a%', is [not] null, and, or, not; text in 'quotes'."
)
_LIKE = re.compile(r"\blike\s+'((?:[^']|'')*)'", re.IGNORECASE)


def parse_filter(where: str | BooleanExpression, schema: Schema, table: str) -> BooleanExpression:
    """Parse `where` and bind it once to the schema, so that a mistake shows before anything is read.

    A row for which the predicate is null is left out, as in SQL: `x not in (1, 2)` and
    `not (x = 1)` leave out rows whose x is null.

    Returns:
        The unbound predicate, without `not` around other predicates.

    Raises:
        FilterError: it doesn't parse, or compares a column with a value of another type.
        NotFoundError: it names a column that the table doesn't have.
        UnsupportedError: it names a uuid column, or one with a dot in its name.
    """
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.expressions.visitors import bind, rewrite_not

    if not isinstance(where, str | BooleanExpression):
        raise FilterError(f"The filter on {table} is a {type(where).__name__}.", "write it as text, such as 'x > 1'.")
    expression = rewrite_not(_parse(where, table) if isinstance(where, str) else where)
    known = list(schema.column_names)
    for column in referenced_columns(expression):
        if column not in known:
            raise NotFoundError.among("column", column, f"{table} (named in its filter)", known)
        if str(schema.find_type(column)) == "uuid":
            raise UnsupportedError(
                f"The filter on {table} compares column {column!r}, which is a uuid.", "filter after reading."
            )
        if any("." in field.name and column.startswith(field.name) for field in schema.fields):
            raise UnsupportedError(
                f"The filter on {table} names column {column!r}, which has a dot in its name.",
                "read the column and filter afterwards, or rename it.",
            )
    try:
        _refuse_fractions(expression, schema, table)
        expression = exact_decimals(expression, schema)
        bind(schema, expression, case_sensitive=True)
    except (ValueError, TypeError) as error:
        raise FilterError(
            f"The filter {where!s} does not fit {table}: {error}", "compare values of the column's own type."
        ) from error
    return _without_nulls(exact_literals(expression, schema))


def _parse(where: str, table: str) -> BooleanExpression:
    from pyiceberg.expressions.parser import parse
    from pyparsing import ParseBaseException

    wildcard = next((found for found in _LIKE.findall(where) if "_" in found), None)
    if wildcard is not None:
        # The parser would take the underscore for itself and find too little.
        raise FilterError(
            f"The filter on {table} matches like {wildcard!r}: the wildcard _ is not supported.",
            "use like 'text%', or filter after reading.",
        )
    try:
        return parse(where)
    except ParseBaseException as error:
        mark = " " * error.loc + "^"
        raise FilterError(
            f"The filter on {table} does not parse at character {error.loc + 1}:\n  {where}\n  {mark}",
            f"it takes {_SYNTAX}",
        ) from error
    except (ValueError, TypeError) as error:
        raise FilterError(f"The filter on {table} does not parse: {where!r}: {error}", f"it takes {_SYNTAX}") from error


def _predicates(expression: BooleanExpression) -> Iterator[Any]:
    from pyiceberg.expressions import And, Not, Or, UnboundPredicate

    queue = [expression]
    while queue:
        part = queue.pop()
        if isinstance(part, And | Or):
            queue += [part.left, part.right]
        elif isinstance(part, Not):
            queue.append(part.child)
        elif isinstance(part, UnboundPredicate):
            yield part


def _refuse_fractions(expression: BooleanExpression, schema: Schema, table: str) -> None:
    """A fraction compared with a whole number would be rounded, and `i = 1.5` find rows."""
    from pyiceberg.types import DateType, IntegerType, LongType

    for predicate in _predicates(expression):
        name = str(predicate.term.name)
        if not isinstance(schema.find_field(name).field_type, IntegerType | LongType | DateType):
            continue
        literals = [predicate.literal] if hasattr(predicate, "literal") else getattr(predicate, "literals", ())
        for literal in literals:
            value = literal.value
            if isinstance(value, float | Decimal) and (not math.isfinite(value) or value != int(value)):
                raise FilterError(
                    f"The filter on {table} compares column {name!r}, which holds whole numbers, with {value}.",
                    "compare it with a whole number.",
                )


def _without_nulls(expression: BooleanExpression) -> BooleanExpression:
    """Make `not in` leave nulls out in every layer: pruning, pyarrow and Iceberg differ about it."""
    from pyiceberg.expressions import And, NotIn, NotNull, Or

    if isinstance(expression, And | Or):
        return type(expression)(_without_nulls(expression.left), _without_nulls(expression.right))
    if isinstance(expression, NotIn):
        return And(expression, NotNull(term=expression.term))
    return expression


def referenced_columns(expression: BooleanExpression) -> list[str]:
    """The names of the columns that an unbound predicate looks at, sorted."""
    return sorted({str(predicate.term.name) for predicate in _predicates(expression)})
