"""Annotations choose the hand-off, however they were written."""

# ruff: noqa: D102, ICN001, TC002, UP037  (ways of writing an annotation are what is tested)

from __future__ import annotations

from collections.abc import Iterable, Iterator  # noqa: TC003  (annotations are resolved)
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lakeflow_engines.frames import parameter_kinds
from lakeflow_io.errors import FunctionError

if TYPE_CHECKING:
    import duckdb
    import polars


def resolved_polars(rows: pl.DataFrame) -> None: ...
def resolved_lazy(rows: pl.LazyFrame) -> None: ...
def resolved_pandas(rows: pd.DataFrame) -> None: ...
def resolved_table(rows: pa.Table) -> None: ...
def resolved_reader(rows: pa.RecordBatchReader) -> None: ...
def resolved_batches(rows: Iterator[pa.RecordBatch]) -> None: ...
def resolved_iterable(rows: Iterable[pa.RecordBatch]) -> None: ...
def other_iterator(rows: Iterator[int]) -> None: ...
def checked_only(rows: duckdb.DuckDBPyRelation) -> None: ...
def checked_only_lazy(rows: polars.LazyFrame) -> None: ...
def quoted(rows: "pl.DataFrame") -> None: ...
def without(rows) -> None: ...
def unknown(rows: list[int]) -> None: ...


class Scorer:
    """A callable object."""

    def __call__(self, rows: pl.DataFrame) -> None: ...

    def method(self, rows: pd.DataFrame) -> None: ...


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (resolved_polars, "polars"),
        (resolved_lazy, "polars-lazy"),
        (resolved_pandas, "pandas"),
        (resolved_table, "arrow"),
        (resolved_reader, "reader"),
        (resolved_batches, "batches"),
        (resolved_iterable, "batches"),
        (other_iterator, "arrow"),
        (checked_only, "duckdb"),
        (checked_only_lazy, "polars-lazy"),
        (quoted, "polars"),
        (without, "arrow"),
        (unknown, "arrow"),
        (Scorer(), "polars"),
        (Scorer().method, "pandas"),
        (lambda rows: rows, "arrow"),
    ],
)
def test_an_annotation_chooses(function: Any, kind: str) -> None:
    """Types, texts of types and names that only a type checker imports all choose; anything else is Arrow."""
    assert {"rows": kind} == parameter_kinds(function)


def test_every_parameter_has_a_kind() -> None:
    """Shared tables are handed over by their own annotation."""

    def function(rows: pl.DataFrame, names: pd.DataFrame, limit: int = 3) -> None: ...

    assert parameter_kinds(function) == {"rows": "polars", "names": "pandas", "limit": "arrow"}


def test_a_partial_keeps_what_is_open() -> None:
    """`functools.partial` works as the function does."""

    def function(rows: pa.Table, limit: int) -> None: ...

    assert "rows" in parameter_kinds(partial(function, limit=3))


@pytest.mark.parametrize(
    ("function", "says"), [(lambda: None, "takes no argument"), (7, "not a function"), ("f", "not a function")]
)
def test_what_takes_no_rows_is_refused(function: Any, says: str) -> None:
    """A function must be one, and take the rows."""
    with pytest.raises(FunctionError, match=says):
        parameter_kinds(function)
