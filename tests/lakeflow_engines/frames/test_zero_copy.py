"""Where memory layouts allow, a hand-off hands over the memory itself."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_engines.frames import from_arrow

ROWS = 10_000
DATA = pa.table(
    {
        "i": pa.array(range(ROWS), pa.int64()),
        "holes": pa.array([None if k % 7 == 0 else k for k in range(ROWS)], pa.int32()),
        "x": pa.array([k / 2 for k in range(ROWS)], pa.float64()),
        "t": pa.array(range(ROWS), pa.timestamp("us", tz="UTC")),
        "d": pa.array(range(ROWS), pa.date32()),
        "s": pa.array([f"longer than a view can hold in place, number {k}" for k in range(ROWS)]),
    }
)
FIXED_WIDTH = ["i", "holes", "x", "t", "d"]


def addresses(column: Any) -> list[int]:
    """Of the values' buffers, and of the bytes behind them; not of validity, offsets and views."""
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    buffers = array.buffers()
    return [each.address for each in (buffers[2:] if len(buffers) > 2 else buffers[1:]) if each is not None]


@pytest.mark.parametrize("name", [*FIXED_WIDTH, "s"])
def test_polars_has_the_same_memory(name: str) -> None:
    """Numbers and times as they are; of text the bytes, beneath views that Polars makes."""
    frame = from_arrow(DATA, "polars")

    found = frame[name].to_arrow(compat_level=pl.CompatLevel.newest())

    assert addresses(DATA[name]) == addresses(found)


@pytest.mark.parametrize("name", [*FIXED_WIDTH, "s"])
def test_pandas_has_the_same_memory(name: str) -> None:
    """Arrow-backed columns are the Arrow columns."""
    frame = from_arrow(DATA, "pandas")

    assert addresses(DATA[name]) == addresses(frame[name].array.__arrow_array__())


@pytest.mark.parametrize("name", DATA.schema.names)
def test_the_c_stream_has_the_same_memory(name: str) -> None:
    """Whoever takes the stream takes the buffers."""
    found = pa.RecordBatchReader.from_stream(lf.DataFrame(DATA)).read_all()

    assert addresses(DATA[name]) == addresses(found[name])
    assert lf.DataFrame(DATA).to_arrow() is DATA


def test_views_stay_views_in_polars() -> None:
    """Text that is views already isn't touched at all."""
    views = pa.table({"s": DATA["s"].cast(pa.string_view())})

    found = from_arrow(views, "polars")["s"].to_arrow(compat_level=pl.CompatLevel.newest())

    buffers = views["s"].chunk(0).buffers()
    assert [each.address for each in buffers[1:]] == [each.address for each in found.buffers()[1:]]
