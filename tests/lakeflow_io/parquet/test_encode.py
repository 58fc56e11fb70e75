"""Parquet files as a table's properties ask for them."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.errors import ConfigError
from lakeflow_io.parquet.encode import Encoder, encode

DATA = pa.table({"a": range(1000), "s": [{"b": str(number)} for number in range(1000)]})
BLOOM = "write.parquet.bloom-filter"


@pytest.mark.parametrize("column", ["a", "s.b"])
def test_bloom_filters_are_there_where_asked(column: str) -> None:
    """Of a column, nested or not, and of no other; a column that the data hasn't is passed over."""
    asked = {f"{BLOOM}-enabled.column.{each}": "true" for each in (column, "missing")}

    found = encode(DATA, asked, io.BytesIO()).row_group(0)

    columns = [found.column(index) for index in range(found.num_columns)]
    assert [column] == [each.path_in_schema for each in columns if each.bloom_filter_offset is not None]


def test_a_bloom_filter_that_may_be_wrong_more_often_is_smaller() -> None:
    """By its property, where the number of distinct values is told."""
    enabled = {f"{BLOOM}-enabled.column.a": "true", f"{BLOOM}-ndv.column.a": "1000"}

    exact, vague = (
        encode(DATA, {**enabled, **more}, io.BytesIO()).row_group(0).column(0).bloom_filter_length
        for more in ({}, {f"{BLOOM}-fpp.column.a": "0.3"})
    )

    assert vague < exact


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ({}, 2**20), ({"max-bytes": "65536"}, 2**16), ({"max-bytes": "70000"}, 2**16),
        ({"ndv.column.a": "1000"}, 2**11), ({"ndv.column.a": "100000000", "max-bytes": "4096"}, 2**12),
        ({"fpp.column.a": "0.3", "max-bytes": "4096"}, 2**12),
    ],
)  # fmt: skip
def test_a_bloom_filter_is_no_larger_than_it_may_be(asked: dict[str, str], most: int) -> None:
    """As Iceberg's: than `max-bytes`, by default 1 MiB, or than the distinct values take, if their number is told."""
    data = pa.table({"a": range(600_000)})
    properties = {f"{BLOOM}-{name}": value for name, value in asked.items()}

    chunk = encode(data, {f"{BLOOM}-enabled.column.a": "true", **properties}, io.BytesIO()).row_group(0).column(0)

    assert most < chunk.bloom_filter_length <= most + 64  # with its header


@pytest.mark.parametrize(
    ("name", "value"),
    [("fpp.column.a", "0"), ("fpp.column.a", "1"), ("fpp.column.a", "often"), ("max-bytes", "0"),
     ("max-bytes", "1 MiB"), ("ndv.column.a", "many")],
)  # fmt: skip
def test_a_bloom_filter_that_can_not_be_is_told(name: str, value: str) -> None:
    """By the property's name."""
    with pytest.raises(ConfigError, match="bloom"):
        encode(DATA, {f"{BLOOM}-enabled.column.a": "true", f"{BLOOM}-{name}": value}, io.BytesIO())


def test_a_pyarrow_without_them_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is older than the feature."""
    monkeypatch.setattr(pa, "__version__", "25.0.1")

    with pytest.raises(ConfigError, match=r"pyarrow 26, this is 25\.0\.1"):
        encode(DATA, {f"{BLOOM}-enabled.column.a": "true"}, io.BytesIO())


def test_row_groups_of_one_write_have_one_size() -> None:
    """No small one is left over at the end."""
    file = io.BytesIO()

    encoder = Encoder(DATA.schema, {"write.parquet.row-group-limit": "300"}, file)
    encoder.write(DATA)
    encoder.write(DATA.slice(0, 10))
    found: Any = encoder.close()

    assert [found.row_group(each).num_rows for each in range(found.num_row_groups)] == [250, 250, 250, 250, 10]
    assert pa.concat_tables([DATA, DATA.slice(0, 10)]).equals(pq.read_table(file))


def test_pages_have_an_index_and_checksums() -> None:
    """For readers that leave pages out, and for those that verify them."""
    file = io.BytesIO()

    chunk = encode(DATA, {}, file).row_group(0).column(0)

    assert (chunk.has_column_index, chunk.has_offset_index) == (True, True)
    assert pq.read_table(file, page_checksum_verification=True).equals(DATA)


def test_pages_and_dictionaries_are_limited() -> None:
    """By the table's properties: more pages take more bytes, and a dictionary that is too large is given up."""
    texts = pa.table({"a": [f"{number % 50:040}" for number in range(10000)]})
    few, many = (
        encode(DATA, {"write.parquet.page-row-limit": limit}, io.BytesIO()).row_group(0).column(0).total_compressed_size
        for limit in ("1000", "10")
    )
    kept, dropped = (
        encode(texts, {"write.parquet.dict-size-bytes": size}, io.BytesIO())
        .row_group(0)
        .column(0)
        .total_uncompressed_size
        for size in ("100000", "1000")
    )

    assert (few < many, kept < dropped) == (True, True)


@pytest.mark.parametrize(
    ("asked", "codec"),
    [
        ({}, "ZSTD"), ({"codec": "snappy"}, "SNAPPY"), ({"codec": "GZIP", "level": "9"}, "GZIP"),
        ({"codec": "uncompressed"}, "UNCOMPRESSED"), ({"codec": "zstd", "level": "null"}, "ZSTD"),
    ],
)  # fmt: skip
def test_codecs(asked: dict[str, str], codec: str) -> None:
    """By their names in Iceberg, in any case."""
    properties = {f"write.parquet.compression-{name}": value for name, value in asked.items()}

    assert encode(DATA, properties, io.BytesIO()).row_group(0).column(0).compression == codec


def test_a_level_compresses_more() -> None:
    """And one that a codec hasn't is told."""
    data = pa.table({"x": [f"{number * 2654435761 % 9973}" for number in range(20000)]})
    property_ = "write.parquet.compression-level"
    least, most = (
        encode(data, {property_: level}, io.BytesIO()).row_group(0).column(0).total_compressed_size for level in "19"
    )

    assert most < least
    with pytest.raises(ConfigError, match="level"):
        encode(data, {"write.parquet.compression-codec": "snappy", property_: "3"}, io.BytesIO())


def test_row_groups_have_the_bytes_that_are_asked_for() -> None:
    """Arrow bytes, of all columns."""
    size = DATA.nbytes // 4

    found: Any = encode(DATA, {"write.parquet.row-group-size-bytes": str(size)}, io.BytesIO())

    assert [found.row_group(each).num_rows for each in range(found.num_row_groups)] == [250] * 4
