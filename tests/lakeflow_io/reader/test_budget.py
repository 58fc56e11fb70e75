"""A budget holds on a table ten times as large, whatever its files are like; and what is held is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lakeflow_io.budget import available_cpus
from lakeflow_io.parquet.decode import decode_columns
from lakeflow_io.reader import Counters, read_batches, work

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
NUMBERS = pa.schema([("id", pa.int64()), ("a", pa.float64()), ("b", pa.int64()), ("text", pa.string())])


@pytest.fixture
def peak_of(watched: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, int, Counters]]:
    """Read all; returns rows, the most bytes that were alive at once, and the counters."""

    def looked(*arguments: Any) -> Any:
        found = decode_columns(*arguments)
        watched.look()
        return found

    monkeypatch.setattr("lakeflow_io.reader.files.decode_columns", looked)

    def run(files: Any, memory: int, columns: list[str] | None = None, where: str | None = None) -> Any:
        watched.objects = files.transport.objects
        watched.begin()
        counters, rows = Counters(), 0
        for batch in read_batches(
            files.spec(columns, where), files.pieces, memory=memory, transport=watched, counters=counters
        ):
            watched.look()
            rows += batch.num_rows
        return rows, watched.peak, counters

    return run


def numbers(rows: int, seed: int) -> pa.Table:
    """Values that no encoding makes smaller, and short texts: about 40 bytes a row."""
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "id": random.integers(0, 2**62, rows),
            "a": random.random(rows),
            "b": random.integers(0, 2**62, rows),
            "text": pa.array(random.integers(0, 2**40, rows).astype(str)),
        }
    )


@pytest.mark.parametrize("mib", [2, 4, 8])
def test_a_budget_holds_on_a_table_ten_times_larger(memory_files: Any, peak_of: Any, mib: int) -> None:
    """Fetched, undecoded and unconsumed bytes stay below the budget, but for what a decoder works with."""
    files = memory_files(NUMBERS, 4000)
    while sum(piece.file_size for piece in files.pieces) < 10 * mib * MIB:
        files.add(numbers(60_000, len(files.pieces)))

    rows, peak, counters = peak_of(files, mib * MIB)

    assert rows == sum(piece.rows for piece in files.pieces)
    assert counters.peak_bytes <= mib * MIB
    # A unit is a sixteenth of the budget, and the consumer still has the batch that it is leaving.
    assert peak <= mib * MIB * 9 // 8


def test_tails_of_small_files_are_part_of_the_budget(memory_files: Any, peak_of: Any) -> None:
    """Of files that come whole with their footers, one narrow column is read: the rest of their bytes counts too."""
    files = memory_files(NUMBERS, 100_000)
    for seed in range(30):
        files.add(numbers(20_000, seed))
    assert all(piece.file_size <= MIB for piece in files.pieces)

    rows, peak, counters = peak_of(files, 4 * MIB, ["id"])

    assert rows == 600_000
    assert counters.peak_bytes <= 4 * MIB
    assert peak <= 5 * MIB


def test_texts_that_decode_to_more_than_footers_promise(memory_files: Any, peak_of: Any) -> None:
    """A long text that stands once in each dictionary: the first row groups show what the others will take."""
    files = memory_files(pa.schema([("text", pa.string())]), 4000)
    words = pa.array([f"{number:04d}" * 100 for number in range(16)])
    rows = words.take(pa.array(np.random.default_rng(0).integers(0, 16, 200_000)))
    files.add(pa.table({"text": rows}))
    assert files.pieces[0].file_size < MIB
    decoded = 4000 * 404

    found, peak, counters = peak_of(files, MIB)

    assert found == 200_000
    # Each core may be at work on a unit before anything is known; a unit is a sixteenth of the budget, promised.
    unit = MIB // 16 // (4000 * 4) * decoded
    assert max(counters.peak_bytes, peak) <= MIB + (available_cpus() + 1) * unit
    assert counters.peak_bytes >= decoded


def test_many_tiny_row_groups(memory_files: Any, peak_of: Any) -> None:
    """Row groups of ten rows are read together and stay within a small budget."""
    files = memory_files(NUMBERS, 10)
    files.add(numbers(20_000, 0))

    rows, peak, counters = peak_of(files, 2 * MIB)

    assert (rows, counters.row_groups) == (20_000, 2000)
    assert counters.peak_bytes <= 2 * MIB
    assert peak <= 2 * MIB


def test_a_row_group_larger_than_the_budget_runs_alone(memory_files: Any, peak_of: Any) -> None:
    """It is read all the same, and nothing else is there while it is."""
    files = memory_files(NUMBERS, 100_000)
    files.add(numbers(300_000, 0))
    one = 100_000 * 55

    rows, peak, counters = peak_of(files, MIB)

    assert rows == 300_000
    assert 2**20 < counters.peak_bytes <= 2 * one
    # Its batch is with the consumer while the next one comes.
    assert peak <= 3 * one


def test_a_filter_and_late_columns_stay_within_the_budget(
    memory_files: Any, peak_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns that are read late, of row groups in which few rows pass, are counted as all others."""
    monkeypatch.setattr(work, "_LATE_BYTES", 0)
    files = memory_files(NUMBERS, 4000)
    for seed in range(6):
        files.add(numbers(60_000, seed))

    rows, peak, counters = peak_of(files, 2 * MIB, None, "a < 0.01")

    assert 3000 < rows < 4200
    assert counters.peak_bytes <= 2 * MIB
    assert peak <= 2 * MIB * 9 // 8
