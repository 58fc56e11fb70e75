"""A function's annotations -> which frame each of its parameters wants."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import FunctionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parameter_kinds"]

# By the defining package and the class's own name, so that nothing is imported to compare with.
_KINDS = {
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars-lazy",
    ("pandas", "DataFrame"): "pandas",
    ("pyarrow", "Table"): "arrow",
    ("pyarrow", "RecordBatchReader"): "reader",
    ("duckdb", "DuckDBPyRelation"): "duckdb",
    ("_duckdb", "DuckDBPyRelation"): "duckdb",
}
# What `from __future__ import annotations` leaves where a name can't be resolved any more, such as
# one that is imported under TYPE_CHECKING only.
_TEXTS = {
    "pl.DataFrame": "polars",
    "pl.LazyFrame": "polars-lazy",
    "polars.DataFrame": "polars",
    "polars.LazyFrame": "polars-lazy",
    "pd.DataFrame": "pandas",
    "pandas.DataFrame": "pandas",
    "pa.Table": "arrow",
    "pyarrow.Table": "arrow",
    "pa.RecordBatchReader": "reader",
    "pyarrow.RecordBatchReader": "reader",
    "Iterable[pa.RecordBatch]": "batches",
    "Iterable[pyarrow.RecordBatch]": "batches",
    "Iterator[pa.RecordBatch]": "batches",
    "Iterator[pyarrow.RecordBatch]": "batches",
    "duckdb.DuckDBPyRelation": "duckdb",
}


def parameter_kinds(function: Callable[..., Any]) -> dict[str, str]:
    """Which kind of frame each parameter wants, in order; `arrow` where nothing is said.

    Raises:
        FunctionError: it isn't callable, or takes no positional parameter.
    """
    if not callable(function):
        raise FunctionError(f"{function!r} is not a function.", "pass a function of one frame.")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError) as error:
        raise FunctionError(f"{name} has no signature that can be read.", "wrap it in a def.") from error
    hints = _hints(function)
    kinds = {parameter: _kind(hints.get(parameter, found.annotation)) for parameter, found in parameters.items()}
    if not kinds:
        raise FunctionError(f"{name} takes no argument.", "its first parameter receives the shard's rows.")
    return kinds


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  (an annotation may name anything; then its text decides)
        return {}


def _kind(annotation: Any) -> str:
    if isinstance(annotation, str):
        return _TEXTS.get(annotation.strip("'\""), "arrow")
    if typing.get_origin(annotation) in (Iterator, Iterable):
        [held] = typing.get_args(annotation)
        batch = (getattr(held, "__module__", "").partition(".")[0], getattr(held, "__name__", ""))
        return "batches" if batch == ("pyarrow", "RecordBatch") else "arrow"
    module = getattr(annotation, "__module__", "").partition(".")[0]
    return _KINDS.get((module, getattr(annotation, "__name__", "")), "arrow")
