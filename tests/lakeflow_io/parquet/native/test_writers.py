"""Files by Polars and DuckDB decode natively, and as pyarrow decodes them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 5000
TABLE = pl.DataFrame(
    {
        "flag": [None if i % 7 == 0 else i % 3 == 0 for i in range(ROWS)],
        "small": pl.Series([i % 100 for i in range(ROWS)], dtype=pl.Int8),
        "short": pl.Series([i % 30_000 - 9000 for i in range(ROWS)], dtype=pl.Int16),
        "tiny": pl.Series([i % 256 for i in range(ROWS)], dtype=pl.UInt8),
        "whole": pl.Series([None if 100 < i < 1300 else i * i for i in range(ROWS)], dtype=pl.Int64),
        "unsigned": pl.Series([2**64 - 1 - i for i in range(ROWS)], dtype=pl.UInt64),
        "real": [i / 7 for i in range(ROWS)],
        "single": pl.Series([None if i % 2 else i / 3 for i in range(ROWS)], dtype=pl.Float32),
        "text": [None if i % 11 == 0 else f"row {i % 90} " * (i % 6) for i in range(ROWS)],
        "unique": [f"{i * 7919:08}" for i in range(ROWS)],
        "bytes": [b"%d" % (i % 1000) for i in range(ROWS)],
        "date": [dt.date(1970, 1, 1) + dt.timedelta(days=i - 2000) for i in range(ROWS)],
        "moment": [dt.datetime(2024, 1, 1) + dt.timedelta(microseconds=i * 999_983) for i in range(ROWS)],  # noqa: DTZ001
        "zoned": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=i) for i in range(ROWS)],
        "time": [dt.time(i % 24, i % 60, i % 60, i) for i in range(ROWS)],
        "money": pl.Series([i - 2500 for i in range(ROWS)]).cast(pl.Decimal(12, 2)),
        "void": pl.Series([None] * ROWS, dtype=pl.Int32),
    }
)


def check(file: bytes, natively: Any, identical: Any) -> None:
    """All columns of all row groups, natively and as pyarrow has them."""
    source = pq.ParquetFile(pa.BufferReader(file))
    for group in range(source.num_row_groups):
        found = natively(file, group)
        expected = source.read_row_group(group)
        assert set(expected.column_names) == {name for name, array in found.items() if array is not None}
        for name, array in found.items():
            array.validate(full=True)
            # Polars asks for its own Arrow types beside the Parquet schema: large strings.
            assert identical(expected[name].combine_chunks().cast(array.type), array), name


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "zstd", "gzip", "brotli", "lz4"])
def test_files_by_polars(codec: Any, tmp_path: Path, natively: Any, identical: Any) -> None:
    """Every type, in small pages and several row groups."""
    TABLE.write_parquet(tmp_path / "f", compression=codec, row_group_size=2000, data_page_size=4000)

    check((tmp_path / "f").read_bytes(), natively, identical)


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "zstd", "gzip", "brotli", "lz4_raw"])
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_files_by_duckdb(codec: str, version: str, tmp_path: Path, natively: Any, identical: Any) -> None:
    """Every type; version 2 brings delta encodings, split streams and RLE booleans."""
    with duckdb.connect() as connection:
        connection.register("source", TABLE.to_arrow())
        connection.execute(
            f"copy (select *, uuid() as id, whole::hugeint as huge from source) to '{tmp_path / 'f'}' "
            f"(format parquet, codec '{codec}', parquet_version {version}, row_group_size 2048)"
        )

    check((tmp_path / "f").read_bytes(), natively, identical)
