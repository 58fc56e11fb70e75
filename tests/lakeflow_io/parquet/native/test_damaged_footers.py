"""What is wrong with a footer is found before pyarrow, which would end the process, looks at it."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.parquet.footer import parse_footer
from lakeflow_io.parquet.native.binding import library
from lakeflow_io.parquet.statistics import chunk_bounds, stored_as

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(library() is None, reason="there is no compiled decoder")


def parquet() -> bytes:
    """A file with a column of each kind, in two row groups."""
    table = pa.table(
        {
            "int": pa.array(range(10), pa.int64()),
            "text": [str(i) for i in range(10)],
            "decimal": pa.array([Decimal(i) for i in range(10)], pa.decimal128(10, 2)),
            "fixed": pa.array([b"1234"] * 10, pa.binary(4)),
            "time": pa.array(range(10), pa.timestamp("us", "UTC")),
            "flag": [True] * 10,
            "list": [[i] for i in range(10)],
            "struct": [{"a": i, "b": "x"} for i in range(10)],
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=5)
    return file.getvalue()


def look(metadata: Any) -> None:
    """What the reader asks pyarrow for."""
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for index, column in enumerate(columns):
            chunk = group.column(index)
            _ = chunk.compression, chunk.total_compressed_size, chunk.data_page_offset, chunk.dictionary_page_offset
            stored = stored_as(column, metadata.created_by)
            if stored is not None:
                chunk_bounds(chunk, group.num_rows, stored.decode)
    metadata.schema.to_arrow_schema()


def damage_all(data: bytes, step: int) -> int:
    """Parse footers with one byte changed, each `step`th of all that there are; tells how many were refused."""
    start, refused = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0], 0
    for number in range(0, (len(data) - 8 - start) * 256, step):
        damaged = bytearray(data)
        damaged[start + number // 256] = number % 256
        try:
            footer = parse_footer("damaged", len(damaged), memoryview(damaged))
        except (CorruptFileError, UnsupportedError):
            refused += 1
            continue
        with contextlib.suppress(pa.ArrowException, ArithmeticError, ValueError, OSError):
            look(footer.metadata)
    return refused


def test_no_damaged_byte_ends_the_process() -> None:
    """Thousands of footers with one byte changed are refused, or can be looked at; in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "97"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


@pytest.mark.parametrize(
    ("found", "changed", "said"),
    [
        (b"\x15\x02\x16\x0a", b"\x15\x1a\x16\x0a", "no such codec (column 0 of row group 0)"),
        (b"\x15\x04\x19\x35\x00\x06\x10", b"\x15\x02\x19\x35\x00\x06\x10", "the type isn't the schema's (column 0"),
        (b"\x18\x08" + bytes(8), b"\x18\x07" + bytes(7), "a bound is shorter than its type (column 0"),
    ],
)
def test_the_column_is_named(found: bytes, changed: bytes, said: str) -> None:
    """The error says what is wrong, and with which column of which row group."""
    data = parquet()
    footer = data[-8 - struct.unpack("<I", data[-8:-4])[0] : -8]
    assert found in footer
    footer = footer.replace(found, changed, 1)
    damaged = data[:4] + footer + struct.pack("<I", len(footer)) + b"PAR1"

    with pytest.raises(CorruptFileError) as caught:
        parse_footer("s3://bucket/file.parquet", len(damaged), memoryview(damaged))

    assert said in caught.value.message
    assert "s3://bucket/file.parquet" in caught.value.message


def test_footers_of_other_writers_are_sound(tmp_path: Path) -> None:
    """Polars' and DuckDB's, without histograms and with other statistics."""
    import duckdb
    import polars as pl

    table = pq.read_table(io.BytesIO(parquet()))
    pl.DataFrame(table).write_parquet(tmp_path / "polars")
    with duckdb.connect() as connection:
        connection.from_arrow(table).write_parquet(str(tmp_path / "duckdb"))

    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert parse_footer(path.name, len(data), memoryview(data)).metadata.num_rows == 10


class _Keys(encryption.KmsClient):
    """Wraps no key at all."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        del master_key_identifier
        return key_bytes.hex()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        del master_key_identifier
        return bytes.fromhex(wrapped_key)


def test_encrypted_columns_are_unsupported() -> None:
    """Beneath a footer that isn't: the file isn't damaged, it is refused as what it is."""
    config = encryption.EncryptionConfiguration("footer", column_keys={"key": ["secret"]}, plaintext_footer=True)
    factory = encryption.CryptoFactory(lambda _: _Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    file = io.BytesIO()
    pq.write_table(pa.table({"open": [1], "secret": [2]}), file, encryption_properties=properties)
    data = file.getvalue()

    with pytest.raises(UnsupportedError, match="encrypted columns"):
        parse_footer("encrypted", len(data), memoryview(data))


if __name__ == "__main__":
    print(damage_all(parquet(), int(sys.argv[1])))  # noqa: T201  (the parent reads it)
