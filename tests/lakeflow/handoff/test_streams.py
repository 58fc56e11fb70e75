"""Arrow streams out of a scan: types as asked, let go of early, failing within the tree."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_io.errors import ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Watched(lf.Scan):
    """A scan that tells when its batches have been let go of."""

    def batches(self, *, memory: int | str | None = None) -> Iterator[pa.RecordBatch]:
        """The scan's own."""
        self.closed = threading.Event()
        try:
            yield from super().batches(memory=memory)
        finally:
            self.closed.set()


@pytest.fixture
def watched(mixed: lf.Table) -> Watched:
    """The whole of `mixed`."""
    scan = mixed.scan()
    return Watched(scan._origin, scan._spec)


def test_a_reader_that_is_dropped_stops_the_scan(watched: Watched) -> None:
    """Letting go of it is enough."""
    reader = watched.to_reader()
    reader.read_next_batch()

    del reader

    assert watched.closed.wait(60)


def test_a_stream_that_is_closed_stops_the_scan(watched: Watched) -> None:
    """Through the C interface, closing is enough."""
    with pa.RecordBatchReader.from_stream(watched) as reader:
        reader.read_next_batch()

    assert watched.closed.wait(60)


def test_a_consumer_that_raises_stops_the_scan(watched: Watched) -> None:
    """The iterator is closed as the exception leaves."""

    def consume() -> None:
        for _ in watched.batches():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()

    assert watched.closed.wait(60)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.string()])
def test_text_leaves_as_it_is_asked_for(mixed: lf.Table, kind: pa.DataType) -> None:
    """A consumer that wants views or 64-bit offsets gets them, rows unchanged."""
    scan = mixed.scan(columns=["s"])

    found = pa.RecordBatchReader.from_stream(scan, schema=pa.schema([("s", kind)])).read_all()

    assert (kind, scan.read().to_pylist()) == (found.schema.field("s").type, found.to_pylist())


def test_any_library_takes_a_scan(mixed: lf.Table) -> None:
    """Through the Arrow stream, without a method for it."""
    scan = mixed.scan(columns=["row", "s", "l"])

    assert scan.read().to_pylist() == pa.table(scan).to_pylist() == pl.DataFrame(scan).to_dicts()


def test_all_at_once_is_the_same_in_every_frame(mixed: lf.Table) -> None:
    """Polars, pandas and DuckDB have the rows that Arrow has."""
    scan = mixed.scan(columns=["row", "s"])
    rows = scan.read().to_pylist()

    assert rows == scan.to_polars().to_dicts()
    assert rows == pa.Table.from_pandas(scan.to_pandas()).to_pylist()
    assert sorted((tuple(row.values()) for row in rows), key=str) == sorted(scan.to_duckdb().fetchall(), key=str)


def test_what_goes_wrong_behind_pyarrows_reader_is_of_our_tree(mixed: lf.Table, tmp_path: Path) -> None:
    """Python on both sides: the exception passes through."""
    next(tmp_path.rglob("*.parquet")).unlink()

    with pytest.raises(ObjectNotFoundError):
        mixed.scan().to_reader().read_all()


@pytest.mark.parametrize("consume", [pa.table, pl.DataFrame])
def test_what_goes_wrong_behind_the_c_interface_says_it(mixed: lf.Table, tmp_path: Path, consume: Any) -> None:
    """The C interface carries text alone: the consumer's exception has our message and hint."""
    lost = next(tmp_path.rglob("*.parquet"))
    lost.unlink()

    with pytest.raises(Exception, match=f"(?s){lost.name}.*Hint: "):
        consume(mixed.scan())
