"""Moments in INT96, as older engines write them, are read as microseconds; what can't be read is refused by name."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakeflow as lf
from lakeflow_io.errors import UnsupportedError
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.parquet.footer import parse_footer
from lakeflow_io.parquet.layout import file_layout

if TYPE_CHECKING:
    from pathlib import Path

MOMENTS = [dt.datetime(1, 1, 1), dt.datetime(2024, 2, 29, 12, 30, 0, 123_456), None, dt.datetime(9999, 12, 31)]  # noqa: DTZ001  (INT96 has no zone)


def as_int96(data: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, use_deprecated_int96_timestamps=True, **options)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("store_schema", [True, False])
def test_int96_is_microseconds_wherever_it_lies(store_schema: bool) -> None:  # noqa: FBT001
    """At the top, in structs and in lists, whatever the writer says of its own types."""
    kind = pa.struct([("at", pa.timestamp("us")), ("all", pa.list_(pa.timestamp("us")))])
    data = pa.table({"at": pa.array(MOMENTS, pa.timestamp("us")), "in": pa.array([{"at": MOMENTS[1]}] * 4, kind)})
    file = as_int96(data, store_schema=store_schema)

    layout = file_layout(parse_footer("memory", len(file), memoryview(file)))

    assert data.schema.types == layout.schema.types
    assert layout.flat == {}


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_a_table_of_int96_files_reads(zone: str | None, memory_files: Any) -> None:
    """Years 1 to 9999, with and without a zone, through the reader; a filter on the column holds."""
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", zone))])
    data = pa.table([pa.array(range(4)), pa.array(MOMENTS, pa.timestamp("us")).cast(schema.field("at").type)], schema)
    files = memory_files(schema)
    files.add_bytes("memory://tests/f", as_int96(data.cast(arrow_schema(files.schema, field_ids=True))))

    late = files.spec(where="at > '2024-02-29T00:00:00" + ("+00:00'" if zone else "'"))

    assert data.equals(files.read())
    assert files.read(late)["id"].to_pylist() == [1, 3]


def test_nanoseconds_in_a_table_without_them_are_refused(memory_files: Any) -> None:
    """A table of version 2 has no nanoseconds: an error of ours names the file and the column."""
    files = memory_files(pa.schema([("at", pa.timestamp("us"))]))
    field = arrow_schema(files.schema, field_ids=True).field("at").with_type(pa.timestamp("ns"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table([pa.array([1], pa.timestamp("ns"))], pa.schema([field])), sink)
    files.add_bytes("memory://tests/ns", bytes(sink.getvalue()))

    with pytest.raises(UnsupportedError, match=r"memory://tests/ns.*'at' has an unsupported type: timestamp\[ns\]"):
        files.read()


def test_a_folder_of_int96_files_reads(tmp_path: Path) -> None:
    """Plain files: microseconds, so that no year wraps."""
    (tmp_path / "f.parquet").write_bytes(as_int96(pa.table({"at": pa.array(MOMENTS, pa.timestamp("us"))})))

    got = lf.read_parquet(tmp_path).to_arrow()["at"]

    assert pa.timestamp("us") == got.type
    assert got.to_pylist() == MOMENTS
