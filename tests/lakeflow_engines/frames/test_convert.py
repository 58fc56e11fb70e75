"""Frames of every kind go out of Arrow and come back, numbers without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lakeflow_engines.frames import FRAME_KINDS, from_arrow, to_arrow
from lakeflow_io.errors import FunctionError

DATA = pa.table(
    {
        "i": pa.array([1, None, 3], pa.int64()),
        "x": pa.array([0.5, None, float("inf")], pa.float64()),
        "s": pa.array(["a", None, "ü"], pa.string()),
        "b": pa.array([True, None, False]),
        "l": pa.array([[1], None, []], pa.list_(pa.int64())),
    }
)
CLASSES: dict[str, type] = {
    "arrow": pa.Table,
    "batches": Iterator,
    "duckdb": duckdb.DuckDBPyRelation,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "polars-lazy": pl.LazyFrame,
    "reader": pa.RecordBatchReader,
}


def test_every_kind_is_tested() -> None:
    """A new kind of frame has to enter this file."""
    assert sorted(CLASSES) == list(FRAME_KINDS)


@pytest.mark.parametrize("kind", FRAME_KINDS)
def test_a_frame_holds_the_rows_and_gives_them_back(kind: str) -> None:
    """Out and back, every value and null is as before."""
    frame = from_arrow(DATA, kind)

    back = to_arrow(frame, "f")

    assert isinstance(frame, CLASSES[kind])
    assert DATA.to_pylist() == back.to_pylist()


@pytest.mark.parametrize("kind", FRAME_KINDS)
def test_no_rows_keep_their_columns(kind: str) -> None:
    """An empty table goes out and comes back with its columns."""
    back = to_arrow(from_arrow(DATA.slice(0, 0), kind), "f")

    assert (0, DATA.column_names) == (back.num_rows, back.column_names)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.int32(), pa.float32()])
def test_numbers_reach_polars_without_a_copy(kind: pa.DataType) -> None:
    """Polars' buffer is Arrow's: the same address."""
    data = pa.table({"x": pa.array(range(1000), kind)})

    frame = from_arrow(data, "polars")

    assert data["x"].chunk(0).buffers()[1].address == frame["x"].to_numpy(allow_copy=False).ctypes.data


def test_numbers_come_back_from_polars_without_a_copy() -> None:
    """And the same address on the way back."""
    frame = pl.DataFrame({"x": range(1000)})

    back = to_arrow(frame, "f")

    assert frame["x"].to_numpy(allow_copy=False).ctypes.data == back["x"].chunk(0).buffers()[1].address


def test_numbers_reach_pandas_without_a_copy() -> None:
    """Arrow-backed pandas columns are the Arrow columns."""
    data = pa.table({"x": pa.array(range(1000), pa.int64())})

    frame = from_arrow(data, "pandas")

    held = frame["x"].array.__arrow_array__()
    assert data["x"].chunk(0).buffers()[1].address == held.chunk(0).buffers()[1].address


def batches() -> Any:
    """A generator, as a function with `yield` returns."""
    yield pl.DataFrame({"x": [1]})
    yield None
    yield pa.record_batch({"x": [2]})


@pytest.mark.parametrize(
    "value",
    [
        {"x": [1, 2]},
        pa.record_batch({"x": [1, 2]}),
        pd.DataFrame({"x": [1, 2]}, index=[7, 8]),
        [pa.table({"x": [1]}), pa.table({"x": [2]})],
        batches(),
        pl.LazyFrame({"x": [1, 2]}),
        duckdb.sql("select unnest([1, 2]) as x"),
    ],
    ids=["dict", "batch", "pandas", "list", "generator", "lazy", "relation"],
)
def test_anything_with_columns_is_a_result(value: Any) -> None:
    """Dicts, batches, generators, lazy frames; a pandas index is no column."""
    assert to_arrow(value, "f").to_pydict() == {"x": [1, 2]}


@pytest.mark.parametrize("value", [None, 7, "text", b"bytes", [], [None], [1, 2], object(), iter([])])
def test_what_has_no_columns_is_refused(value: Any) -> None:
    """The message says whose result it was and what came."""
    with pytest.raises(FunctionError, match="shard-00003: m:f is") as caught:
        to_arrow(value, "shard-00003: m:f")

    assert "a pyarrow Table" in str(caught.value.hint)
