"""`where`: text or an Iceberg expression -> a predicate that is known to fit the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_io.errors import FilterError, NotFoundError

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema

__all__ = ["parse_filter", "referenced_columns"]

_SYNTAX = (
    "comparisons (=, !=, <, <=, >, >=), in (...), between, like 'a%', is [not] null, and, or, not; text in 'quotes'."
)


def parse_filter(where: str | BooleanExpression, schema: Schema, table: str) -> BooleanExpression:
    """Parse `where` and bind it once to the schema, so that a mistake shows before anything is read.

    Returns:
        The unbound predicate.

    Raises:
        FilterError: it doesn't parse, or compares a column with a value of another type.
        NotFoundError: it names a column that the table doesn't have.
    """
    from pyiceberg.expressions.parser import parse
    from pyiceberg.expressions.visitors import bind
    from pyparsing import ParseBaseException

    expression = where
    if isinstance(expression, str):
        try:
            expression = parse(expression)
        except ParseBaseException as error:
            mark = " " * error.loc + "^"
            raise FilterError(
                f"The filter on {table} does not parse at character {error.loc + 1}:\n  {where}\n  {mark}",
                f"it takes {_SYNTAX}",
            ) from error
        except (ValueError, TypeError) as error:
            raise FilterError(
                f"The filter on {table} does not parse: {where!r}: {error}", f"it takes {_SYNTAX}"
            ) from error
    known = list(schema.column_names)
    for column in referenced_columns(expression):
        if column not in known:
            raise NotFoundError.among("column", column, f"{table} (named in its filter)", known)
    try:
        bind(schema, expression, case_sensitive=True)
    except (ValueError, TypeError) as error:
        raise FilterError(
            f"The filter {where!s} does not fit {table}: {error}", "compare values of the column's own type."
        ) from error
    return expression


def referenced_columns(expression: BooleanExpression) -> list[str]:
    """The names of the columns that an unbound predicate looks at, sorted."""
    from pyiceberg.expressions import And, Not, Or, UnboundPredicate

    found: set[str] = set()
    queue = [expression]
    while queue:
        part = queue.pop()
        if isinstance(part, And | Or):
            queue += [part.left, part.right]
        elif isinstance(part, Not):
            queue.append(part.child)
        elif isinstance(part, UnboundPredicate):
            found.add(str(part.term.name))  # type: ignore[attr-defined]  # every term that parses is a Reference
    return sorted(found)
