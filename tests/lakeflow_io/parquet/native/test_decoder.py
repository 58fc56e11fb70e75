"""The compiled decoder reads what pyarrow reads, or says that it can't; whatever the bytes are, it comes back."""

from __future__ import annotations

import datetime as dt
import decimal
import random
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.parquet.footer import parse_footer
from lakeflow_io.parquet.layout import file_layout
from lakeflow_io.parquet.native.binding import library
from lakeflow_io.parquet.native.column import decode_chunks
from lakeflow_io.parquet.ranges import column_chunks

CODECS = ["none", "snappy", "zstd", "gzip", "brotli", "lz4"]
VALUES: dict[str, tuple[pa.DataType, Any]] = {
    "bool": (pa.bool_(), st.booleans()),
    "int32": (pa.int32(), st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 3)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)),
    "float": (pa.float32(), st.floats(width=32)),
    "double": (pa.float64(), st.floats()),
    "decimal9": (
        pa.decimal128(9, 2),
        st.integers(-(10**9) + 1, 10**9 - 1).map(lambda i: decimal.Decimal(i).scaleb(-2)),
    ),
    "decimal38": (pa.decimal128(38, 0), st.integers(-(10**38) + 1, 10**38 - 1).map(decimal.Decimal)),
    "date": (pa.date32(), st.dates()),
    "timestamp": (pa.timestamp("us"), st.datetimes()),
    "zoned": (pa.timestamp("us", "UTC"), st.datetimes().map(lambda at: at.replace(tzinfo=dt.UTC))),
    "time": (pa.time64("us"), st.times()),
    "string": (pa.string(), st.text(max_size=80) | st.sampled_from(["", "a", "b" * 33])),
    "binary": (pa.binary(), st.binary(max_size=80)),
    "fixed": (pa.binary(5), st.binary(min_size=5, max_size=5)),
}


def encoded(data: pa.Table, **options: Any) -> bytes:
    """A file of one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, store_schema=False, **options)
    return bytes(sink.getvalue())


def decoded(file: bytes, damage: Any = None) -> list[pa.Array | None]:
    """All columns of a file's first row group, by the compiled decoder alone."""
    footer = parse_footer("f", len(file), 0, memoryview(file))
    layout = file_layout(footer)
    group = footer.metadata.row_group(0)
    jobs = []
    for index, name in enumerate(layout.schema.names):
        flat = layout.flat[name]
        [chunk] = column_chunks(group, [index])
        part = file[chunk.start : chunk.end]
        jobs.append((flat, chunk, memoryview(damage(part) if damage else part)))
    return decode_chunks(jobs, group.num_rows)


def test_the_library_was_built() -> None:
    """The environment that runs the tests has the decoder: a silent fallback would hide it from all others."""
    assert library() is not None


@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)), codec=st.sampled_from(CODECS))
def test_any_column_is_read_as_pyarrow_reads_it(data: st.DataObject, kind: str, codec: str) -> None:
    """Types, nulls, codecs, pages of any size and version, dictionaries that overflow, checksums."""
    arrow, values = VALUES[kind]
    few = data.draw(st.lists(st.none() | values, min_size=1, max_size=12))
    repeat = data.draw(st.sampled_from([1, 3, 100, 700]))
    column = pa.array((few * repeat)[: data.draw(st.sampled_from([1, 7, 8, 9, 1023, 1024, 1025, 8000]))], arrow)
    required = column.null_count == 0 and data.draw(st.booleans())
    file = encoded(
        pa.table([column], pa.schema([pa.field("c", arrow, nullable=not required)])),
        compression=codec,
        use_dictionary=data.draw(st.booleans()),
        data_page_size=data.draw(st.sampled_from([1, 64, 4096, 1 << 20])),
        data_page_version=data.draw(st.sampled_from(["1.0", "2.0"])),
        dictionary_pagesize_limit=data.draw(st.sampled_from([16, 1 << 20])),
        write_page_checksum=data.draw(st.booleans()),
        write_batch_size=data.draw(st.sampled_from([5, 1024])),
        store_decimal_as_integer=data.draw(st.booleans()),
    )

    [found] = decoded(file)

    assert found is not None
    found.validate(full=True)
    expected = pq.read_table(pa.BufferReader(file))["c"].combine_chunks()
    assert found.type == expected.type
    assert same(expected, found)


def same(expected: pa.Array, found: pa.Array) -> bool:
    """Equal, NaN being itself."""
    if pa.types.is_floating(expected.type):
        both = [np.asarray(each.to_numpy(zero_copy_only=False), dtype=float) for each in (expected, found)]
        return expected.is_valid().equals(found.is_valid()) and np.array_equal(*both, equal_nan=True)
    return expected.equals(found)


@pytest.mark.parametrize(
    ("encoding", "arrow"),
    [
        ("DELTA_BINARY_PACKED", pa.int32()),
        ("DELTA_BINARY_PACKED", pa.int64()),
        ("DELTA_LENGTH_BYTE_ARRAY", pa.string()),
        ("DELTA_BYTE_ARRAY", pa.string()),
        ("BYTE_STREAM_SPLIT", pa.float64()),
        ("BYTE_STREAM_SPLIT", pa.int32()),
        ("PLAIN", pa.string()),
    ],
)
@pytest.mark.parametrize("nulls", [0.0, 0.3, 1.0])
def test_encodings_of_newer_writers(encoding: str, arrow: pa.DataType, nulls: float) -> None:
    """Values of any size, with and without nulls."""
    source = np.random.default_rng(7)
    numbers = source.integers(-(2**31), 2**31 - 1, 3000) >> source.integers(0, 31, 3000)
    values = pa.array(numbers, pa.int64()).cast(arrow)
    column = pa.array(
        [None if hide else value for value, hide in zip(values.to_pylist(), source.random(3000) < nulls, strict=True)],
        arrow,
    )
    file = encoded(pa.table({"c": column}), use_dictionary=False, column_encoding={"c": encoding}, data_page_size=2000)

    [found] = decoded(file)

    assert found is not None
    assert same(column, found)


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("seed", range(4))
def test_damaged_chunks_come_back(codec: str, seed: int) -> None:
    """Flipped, cut and repeated bytes anywhere: nothing, or an array whose buffers hold together."""
    chosen = random.Random(seed)
    rows = 400
    table = pa.table(
        {
            "i": pa.array([chosen.choice([None, 5, 7, 2**40]) for _ in range(rows)], pa.int64()),
            "s": [chosen.choice([None, "", "text", "longer than thirty-two characters, this"]) for _ in range(rows)],
            "b": [chosen.choice([None, True, False]) for _ in range(rows)],
            "d": [chosen.choice([None, decimal.Decimal("1.25")]) for _ in range(rows)],
            "n": list(range(rows)),
        }
    )
    options = {"compression": codec, "data_page_size": 200, "data_page_version": chosen.choice(["1.0", "2.0"])}
    file = encoded(table, use_dictionary=["i", "s"], column_encoding={"n": "DELTA_BINARY_PACKED"}, **options)

    def damage(part: bytes) -> bytes:
        made = bytearray(part)
        for _ in range(chosen.randint(1, 4)):
            at = chosen.randrange(len(made))
            how = chosen.randrange(3)
            if how == 0:
                made[at] ^= 1 << chosen.randrange(8)
            elif how == 1:
                made[at] = chosen.choice([0, 1, 0x7F, 0x80, 0xFF])
            else:
                made = made[: max(1, at)] + made[at // 2 : at] if chosen.random() < 0.5 else made[: max(1, at)]
        return bytes(made)

    for _ in range(300):
        for array in decoded(file, damage):
            if array is not None:
                assert len(array) == rows
                # A damaged value is a value; offsets, lengths and counts of nulls have to be right.
                decimals = pa.types.is_decimal(array.type)
                (array.view(pa.binary()) if pa.types.is_string(array.type) else array).validate(full=not decimals)


def test_threads_are_independent() -> None:
    """Each thread has scratch memory of its own."""
    files = [encoded(pa.table({"c": [f"{seed}-{i % 50}" for i in range(20_000)]})) for seed in range(4)]
    wrong: list[int] = []

    def check(seed: int) -> None:
        for _ in range(10):
            [found] = decoded(files[seed])
            if found is None or found[49].as_py() != f"{seed}-49":
                wrong.append(seed)

    threads = [Thread(target=check, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
