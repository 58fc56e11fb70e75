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
    """By its property."""
    enabled = {f"{BLOOM}-enabled.column.a": "true"}

    exact, vague = (
        encode(DATA, {**enabled, **more}, io.BytesIO()).row_group(0).column(0).bloom_filter_length
        for more in ({}, {f"{BLOOM}-fpp.column.a": "0.3"})
    )

    assert vague < exact


@pytest.mark.parametrize("chance", ["0", "1", "often"])
def test_a_chance_that_is_none_is_told(chance: str) -> None:
    """By the property's name."""
    with pytest.raises(ConfigError, match="bloom"):
        encode(DATA, {f"{BLOOM}-enabled.column.a": "true", f"{BLOOM}-fpp.column.a": chance}, io.BytesIO())


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
