"""Statistics that can't be trusted give no bounds."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.parquet.statistics import ALL_NULL, UNKNOWN, Bounds, Stored, chunk_bounds, stored_as


def encoded(values: pa.Array, **options: Any) -> bytes:
    """A file of one column."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": values}), sink, **options)
    return bytes(sink.getvalue())


def bounds(file: bytes) -> Bounds:
    """What the first row group's statistics say."""
    metadata = pq.read_metadata(pa.BufferReader(file))
    stored = stored_as(metadata.schema.column(0), metadata.created_by)
    group = metadata.row_group(0)
    return chunk_bounds(group.column(0), group.num_rows, stored.decode) if stored else UNKNOWN


def stored(values: pa.Array, writer: str = "parquet-cpp-arrow version 26.0.0", **options: Any) -> Stored | None:
    """How a column is stored."""
    return stored_as(pq.read_metadata(pa.BufferReader(encoded(values, **options))).schema.column(0), writer)


def test_bounds_and_nulls() -> None:
    """A column with values, one without nulls, one of nulls alone, and one without statistics."""
    assert bounds(encoded(pa.array([3, None, 1]))) == Bounds(1, 3, nulls=True, values=True)
    assert bounds(encoded(pa.array(["b", "a"]))) == Bounds(b"a", b"b", nulls=False, values=True)
    assert bounds(encoded(pa.array([None], pa.int64()))) == ALL_NULL
    assert bounds(encoded(pa.array([1]), write_statistics=False)) == UNKNOWN


@pytest.mark.parametrize("as_integer", [True, False])
@pytest.mark.parametrize("precision", [9, 18, 38])
def test_decimals_are_unscaled(precision: int, *, as_integer: bool) -> None:
    """In four, eight or sixteen bytes, or as integers, negative ones too."""
    values = pa.array([Decimal("-1.50"), Decimal("300.25")], pa.decimal128(precision, 2))

    found = bounds(encoded(values, store_decimal_as_integer=as_integer))

    assert found == Bounds(-150, 30025, nulls=False, values=True)


@pytest.mark.parametrize("place", [0, 1])
def test_a_bound_that_is_nan_is_none(place: int) -> None:
    """A writer that let NaN into its statistics tells nothing but its nulls."""
    file = encoded(pa.array([1.5, 2.5]), use_dictionary=False, compression="none")
    value = struct.pack("<d", (1.5, 2.5)[place])

    forged = file.replace(value, struct.pack("<d", float("nan")))

    assert bounds(forged) == Bounds(None, None, nulls=False, values=True)


def test_bounds_that_are_swapped_are_none() -> None:
    """A lower bound above the upper one is a writer's mistake."""
    low, high = struct.pack("<q", 1111), struct.pack("<q", 2222)
    file = encoded(pa.array([1111, 2222]), use_dictionary=False)

    swapped = file.replace(low, b"@" * 8).replace(high, low).replace(b"@" * 8, high)

    assert bounds(swapped) == Bounds(None, None, nulls=False, values=True)


def test_a_count_of_nulls_may_be_missing() -> None:
    """Then there may be nulls."""
    file = encoded(pa.array([1111, 2222]), use_dictionary=False)

    # Of another type than its own, a field of the footer is skipped.
    forged = file.replace(b"\x16\x00\x28\x08", b"\x15\x00\x28\x08")

    assert bounds(file) == Bounds(1111, 2222, nulls=False, values=True)
    assert bounds(forged) == Bounds(1111, 2222, nulls=True, values=True)


def test_unsigned_integers_and_int96_have_no_bounds() -> None:
    """Their raw values have another order."""
    assert stored(pa.array([1], pa.uint32())) is None
    assert stored(pa.array([1], pa.uint64())) is None
    assert stored(pa.array([1], pa.timestamp("us")), use_deprecated_int96_timestamps=True) is None


def test_fixed_bytes_have_no_bounds() -> None:
    """A bound cut short, which is allowed, would end the process."""
    assert stored(pa.array([b"abc"], pa.binary(3))) is None


def test_repeated_columns_have_no_bounds() -> None:
    """A list's elements are no column of rows."""
    assert stored(pa.array([[1]])) is None


@pytest.mark.parametrize(
    ("writer", "trusted"),
    [
        ("parquet-mr version 1.8.1 (build 4aba4dae7bb0d4edbcf7923ae1339f28fd3f7fcf)", False),
        ("parquet-mr version 1.9.0", False), ("parquet-mr", True), ("parquet-mr version 1.10.0", True),
        ("parquet-mr version 1.13.1 (build db4183109d5b734ec5930d870cdae161e408ddba)", True), (None, True),
        ("DuckDB version v2.0.1", True),
    ],
)  # fmt: skip
def test_old_writers_ordered_decimals_by_their_bytes(writer: Any, *, trusted: bool) -> None:
    """Such bounds of decimals in bytes are not used; decimals in integers are."""
    values = pa.array([Decimal("1.5")], pa.decimal128(9, 2))

    assert (stored(values, writer) is not None) == trusted
    assert stored(values, writer, store_decimal_as_integer=True) == Stored("decimal", 2, None)


def test_units_of_time() -> None:
    """Milliseconds, microseconds and nanoseconds, in UTC or without a time zone."""
    assert stored(pa.array([1], pa.timestamp("ms"))) == Stored("timestamp", 1_000_000, None)
    assert stored(pa.array([1], pa.timestamp("ns", "UTC"))) == Stored("timestamptz", 1, None)
    assert stored(pa.array([1], pa.time32("ms"))) == Stored("time", 1_000_000, None)
    assert stored(pa.array([1], pa.date32())) == Stored("date", 0, None)
