"""A Polars expression -> a condition, as far as it compares plain columns with literals.

Polars documents one way to look into an expression: its JSON. Its shape may change between releases;
what isn't recognised is unknown, which costs pruning and never a row. Literals are evaluated by
Polars itself, so none of their encodings is known here.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from lakeflow_engines.frames.condition import (
    Both,
    Compare,
    Condition,
    Either,
    IsNull,
    Not,
    OneOf,
    StartsWith,
    Unknown,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["polars_condition"]

_OPERATORS = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BOUNDS = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}


def polars_condition(predicate: pl.Expr) -> Condition:
    """What a predicate asks of plain columns; `Unknown` for all the rest."""
    import polars as pl

    try:
        return _condition(json.loads(predicate.meta.serialize(format="json")))
    except (pl.exceptions.PolarsError, LookupError, ValueError, RecursionError):
        return Unknown()


def _condition(node: Any) -> Condition:
    match node:
        case {"Column": str(column)}:
            return Compare(column, "==", True)  # noqa: FBT003  (the value compared with)
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            return Both(_condition(left), _condition(right))
        case {"BinaryExpr": {"left": left, "op": "Or" | "LogicalOr", "right": right}}:
            return Either(_condition(left), _condition(right))
        case {"BinaryExpr": {"left": {"Column": str(column)}, "op": op, "right": {"Literal": _} as literal}}:
            return _compare(column, _OPERATORS.get(op), literal)
        case {"BinaryExpr": {"left": {"Literal": _} as literal, "op": op, "right": {"Column": str(column)}}}:
            return _compare(column, _MIRRORED.get(_OPERATORS.get(op, "")), literal)
        case {"Function": {"input": [inner], "function": {"Boolean": "Not"}}}:
            return Not(_condition(inner))
        case {"Function": {"input": [{"Column": str(column)}, *arguments], "function": function}}:
            return _function(column, function, arguments)
        case _:
            return Unknown()


def _compare(column: str, operator: str | None, literal: Any) -> Condition:
    value = _value(literal)
    return Unknown() if operator is None or value is None else Compare(column, operator, value)


def _function(column: str, function: Any, arguments: list[Any]) -> Condition:
    match function, arguments:
        case {"Boolean": "IsNull"}, []:
            return IsNull(column)
        case {"Boolean": "IsNotNull"}, []:
            return Not(IsNull(column))
        case {"StringExpr": "StartsWith"}, [{"Literal": _} as prefix]:
            return StartsWith(column, _value(prefix))
        case {"Boolean": {"IsBetween": {"closed": closed}}}, [{"Literal": _} as low, {"Literal": _} as high]:
            above, below = _BOUNDS[closed]
            return Both(_compare(column, above, low), _compare(column, below, high))
        case {"Boolean": {"IsIn": {"nulls_equal": False}}}, [{"Literal": _} as values]:
            return OneOf(column, tuple(_value(values) or ()))
        case _:
            return Unknown()


def _value(literal: dict[str, Any]) -> Any:
    """A literal's value, a list's as a list; None where it is null or Python can't hold all of it."""
    import polars as pl

    expression = pl.Expr.deserialize(io.BytesIO(json.dumps(literal).encode()), format="json")
    series = pl.select(expression).to_series()
    kind = series.dtype.inner if isinstance(series.dtype, pl.List) else series.dtype
    if len(series) != 1 or (isinstance(kind, pl.Datetime) and kind.time_unit == "ns"):
        return None
    return series.to_list()[0]
