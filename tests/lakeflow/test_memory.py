"""What a scan and an append hold at one time is bounded by what was asked for, not by what files say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow import table as table_module
from lakeflow_io.parquet.decode import decode_columns
from lakeflow_io.parquet.native.pool import buffer_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    import lakeflow as lf

ROW_GROUPS = 48
ROWS = 1024 * 1024
ROW_GROUP_BYTES = ROWS * 8
SETTLE_SECONDS = 0.5  # for read-ahead to show itself; a scan that stays within its budget is not kept from it


@pytest.fixture(scope="module")
def zeros() -> pa.RecordBatch:
    """A row group of one value: 8 MiB in memory, some hundred bytes in a file."""
    column = pa.Array.from_buffers(pa.int64(), ROWS, [None, pa.py_buffer(bytes(ROW_GROUP_BYTES))])
    return pa.record_batch({"x": column})


@pytest.fixture
def constants(embedded: lf.Lake, namespace: str, zeros: pa.RecordBatch) -> lf.Table:
    """A tiny file of 48 row groups that decode to 384 MiB."""
    made = embedded.create_table(f"{namespace}.zeros", zeros.schema)
    whole = pa.Table.from_batches([zeros] * ROW_GROUPS)
    made.append(whole)
    return made


def test_the_file_is_tiny(constants: lf.Table) -> None:
    """What the other tests lean on: the file says little of what it holds."""
    pieces = constants.scan().pieces

    assert sum(len(piece.splits) for piece in pieces) >= ROW_GROUPS
    assert sum(piece.bytes for piece in pieces) < 2**20
    assert sum(piece.rows for piece in pieces) == ROWS * ROW_GROUPS


def peak_of(batches: Iterator[pa.RecordBatch], taken: int) -> int:
    """Arrow bytes at most, over those before, while a slow consumer takes some batches."""
    before = buffer_pool().bytes_allocated()
    peak = 0
    for _ in range(taken):
        batch = next(batches)
        del batch
        waited = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < waited:
            peak = max(peak, buffer_pool().bytes_allocated() - before)
            time.sleep(0.005)
    return peak


@pytest.mark.timeout(120)
@pytest.mark.parametrize("memory", ["1 MiB", 1])
def test_a_scan_of_constants_stays_within_its_budget(constants: lf.Table, memory: Any) -> None:
    """48 row groups of a few bytes each: with a budget of less than one, about one is there at a time."""
    batches = constants.scan().batches(memory=memory)

    peak = peak_of(batches, 4)
    batches.close()  # type: ignore[attr-defined]  # a generator

    # One that is decoded while the consumer has another, and what decoding takes besides.
    assert peak < 3 * ROW_GROUP_BYTES


@pytest.mark.timeout(120)
def test_a_scan_of_constants_with_more_memory_reads_ahead(constants: lf.Table) -> None:
    """A budget of some row groups is used, and not passed by more than one."""
    batches = constants.scan().batches(memory=8 * ROW_GROUP_BYTES)

    peak = peak_of(batches, 3)
    batches.close()  # type: ignore[attr-defined]  # a generator

    assert peak < 10 * ROW_GROUP_BYTES


def test_few_tables_are_alive_at_once(constants: lf.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by counting at each decoding: row groups that nobody has let go of yet."""
    before = buffer_pool().bytes_allocated()
    most = 0.0

    def counted(*arguments: Any) -> Any:
        nonlocal most
        columns = decode_columns(*arguments)
        most = max(most, (buffer_pool().bytes_allocated() - before) / ROW_GROUP_BYTES)
        return columns

    monkeypatch.setattr("lakeflow_io.reader.files.decode_columns", counted)

    rows = sum(batch.num_rows for batch in constants.scan().batches(memory="1 MiB"))

    assert rows == ROWS * ROW_GROUPS
    assert 1 <= most < 3.5


def test_head_of_constants_decodes_little(constants: lf.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows are no reason to decode 48 million."""
    decoded = []

    def counted(*arguments: Any) -> Any:
        decoded.append(1)
        return decode_columns(*arguments)

    monkeypatch.setattr("lakeflow_io.reader.files.decode_columns", counted)

    assert len(constants.head(10)) == 10
    assert len(decoded) <= 3


@pytest.mark.timeout(240)
def test_an_append_of_many_batches_is_linear(
    embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8,000 batches of one row are one file, each batch being looked at a few times, not once for every other."""
    looks = 0

    def counted_sum(values: Any, start: Any = 0) -> Any:
        nonlocal looks
        total = start
        for value in values:
            looks += 1
            total += value
        return total

    monkeypatch.setattr(table_module, "sum", counted_sum, raising=False)
    table = embedded.create_table(f"{namespace}.many", pa.schema([("x", pa.int64())]))
    batch = pa.record_batch({"x": pa.array([7], pa.int64())})

    table.append(pa.RecordBatchReader.from_batches(batch.schema, (batch for _ in range(8_000))))

    assert looks <= 5 * 8_000
    assert len(table.scan().read()) == 8_000
    assert len(table.scan().pieces) == 1
