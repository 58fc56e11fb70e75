"""The reader's threads and its budget: bounded while it runs, gone when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.reader import read_batches
from lakeflow_io.storage import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


class CountingTransport(MemoryTransport):
    """Counts the bytes it hands out."""

    fetched = 0

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """As asked, and counted."""
        with self._lock:
            self.fetched += length
        return super().get_range(uri, start, length)


@pytest.fixture
def large(memory_files: Callable[..., Any]) -> Any:
    """Three files of more than 1 MiB each, so that row groups are fetched by ranges."""
    import numpy as np

    random = np.random.default_rng(0)
    files = memory_files(SCHEMA, 20_000)
    files.transport = CountingTransport()
    for number in range(3):
        ids = range(number * 100_000, (number + 1) * 100_000)
        texts = random.integers(0, 2**62, 100_000).astype(str)
        files.add(pa.table({"id": ids, "text": texts}))
    assert all(piece.file_size > 1024 * 1024 for piece in files.pieces)
    return files


@pytest.mark.parametrize("memory", [1, 500_000, None])
def test_any_budget_reads_everything_in_order(large: Any, memory: int | None) -> None:
    """A budget smaller than a row group slows a scan down; it neither stops it nor changes it."""
    found = large.read(memory=memory)

    assert list(range(300_000)) == found["id"].to_pylist()


def test_a_budget_of_one_byte_holds_one_row_group(large: Any) -> None:
    """Before the second row group is asked for, no more than the first was fetched."""
    batches = read_batches(large.spec(), large.pieces, memory=1, transport=large.transport)

    next(batches)
    fetched = large.transport.fetched
    batches.close()

    footers = 3 * 64 * 1024
    assert fetched <= footers + large.pieces[0].file_size / 4


def test_a_projection_fetches_its_columns_only(large: Any) -> None:
    """One narrow column of two costs its own bytes and the footers, not the files'."""
    large.read(large.spec(["id"]))

    assert large.transport.fetched < 0.6 * sum(piece.file_size for piece in large.pieces)


def test_small_files_take_one_request_each(memory_files: Callable[..., Any]) -> None:
    """A file of up to 1 MiB is read with a single request: footer and data together."""
    files = memory_files(SCHEMA, 10)
    for number in range(5):
        files.add(pa.table({"id": [number] * 100, "text": ["x"] * 100}))

    files.read()

    assert files.transport.requests == {"get_range": 5}


def test_a_finished_scan_leaves_no_thread(large: Any, threads: Callable[[], list[Any]]) -> None:
    """After the last batch, the threads of the scan are gone."""
    large.read()

    assert threads() == []


def test_a_scan_that_was_never_started_has_no_thread(large: Any, threads: Callable[[], list[Any]]) -> None:
    """Nothing runs before the first batch is asked for."""
    batches = read_batches(large.spec(), large.pieces, transport=large.transport)

    assert threads() == []
    batches.close()


def test_two_scans_at_once_do_not_mix(large: Any) -> None:
    """Scans that are consumed in turn each give their own rows."""
    one = read_batches(large.spec(), large.pieces[:1], transport=large.transport)
    other = read_batches(large.spec(), large.pieces[1:], transport=large.transport)

    pairs = [(first["id"][0].as_py(), second["id"][0].as_py()) for first, second in zip(one, other, strict=False)]
    one.close()
    other.close()

    assert [(n * 20_000, 100_000 + n * 20_000) for n in range(5)] == pairs
