"""Any flat column is decoded natively, and as pyarrow decodes it: types, nulls, encodings, codecs, pages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

CODECS = ["none", "snappy", "zstd", "gzip", "brotli", "lz4"]
# Around the decoder's batches, bytes of bits, and the writer's pages.
ROWS = [1, 2, 7, 8, 9, 63, 64, 65, 1000, 1023, 1024, 1025, 2047, 2049, 5000]
DELTA, SPLIT = "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"


def whole(bits: int) -> Any:
    """Integers of all sizes, many of them small."""
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) | st.integers(-3, 3)


def unsigned(bits: int) -> Any:
    return st.integers(0, 2**bits - 1) | st.integers(0, 3)


def of_digits(digits: int, scale: int) -> tuple[pa.DataType, pa.DataType, Any, list[str]]:
    values = st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda i: Decimal(f"{i}E-{scale}"))
    kind = pa.decimal128(digits, scale)
    return kind, kind, values, [SPLIT]


# The type of the column, the type its values are given in (the same bits), values, encodings beside the common ones.
KINDS: dict[str, tuple[pa.DataType, pa.DataType, Any, list[str]]] = {
    "bool": (pa.bool_(), pa.bool_(), st.booleans(), ["RLE"]),
    "int8": (pa.int8(), pa.int8(), whole(8), [DELTA]),
    "int16": (pa.int16(), pa.int16(), whole(16), [DELTA]),
    "int32": (pa.int32(), pa.int32(), whole(32), [DELTA, SPLIT]),
    "int64": (pa.int64(), pa.int64(), whole(64), [DELTA, SPLIT]),
    "uint8": (pa.uint8(), pa.uint8(), unsigned(8), [DELTA]),
    "uint16": (pa.uint16(), pa.uint16(), unsigned(16), [DELTA]),
    "uint32": (pa.uint32(), pa.uint32(), unsigned(32), [DELTA, SPLIT]),
    "uint64": (pa.uint64(), pa.uint64(), unsigned(64), [DELTA, SPLIT]),
    "half": (pa.float16(), pa.uint16(), unsigned(16), [SPLIT]),
    "float": (pa.float32(), pa.uint32(), unsigned(32), [SPLIT]),
    "double": (pa.float64(), pa.uint64(), unsigned(64), [SPLIT]),
    "date": (pa.date32(), pa.int32(), whole(32), [DELTA]),
    "time ms": (pa.time32("ms"), pa.int32(), st.integers(0, 86_399_999), [DELTA]),
    "time us": (pa.time64("us"), pa.int64(), st.integers(0, 86_399_999_999), [DELTA]),
    "time ns": (pa.time64("ns"), pa.int64(), st.integers(0, 86_399_999_999_999), [DELTA]),
    "moment ms": (pa.timestamp("ms"), pa.int64(), whole(64), [DELTA]),
    "moment us": (pa.timestamp("us"), pa.int64(), whole(64), [DELTA]),
    "moment ns": (pa.timestamp("ns"), pa.int64(), whole(64), [DELTA]),
    "zoned": (pa.timestamp("us", "UTC"), pa.int64(), whole(64), [DELTA]),
    "string": (
        pa.string(), pa.string(), st.text(max_size=80) | st.sampled_from(["", "a", "b" * 31, "c" * 32, "d" * 33]),
        ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
    ),
    "binary": (
        pa.binary(), pa.binary(), st.binary(max_size=80), ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
    ),
    "fixed": (pa.binary(5), pa.binary(5), st.binary(min_size=5, max_size=5), [SPLIT]),
    "uuid": (pa.uuid(), pa.binary(16), st.binary(min_size=16, max_size=16), [SPLIT]),
}  # fmt: skip
KINDS |= {f"decimal {p}": of_digits(p, scale) for p, scale in [(4, 2), (9, 0), (18, 5), (25, 25), (38, 10)]}


def column_of(kind: str | tuple[Any, ...], values: list[Any], rows: int, nulls: str) -> pa.Array:
    """`rows` of `values` over and over, with nulls where `nulls` says."""
    arrow, bits, _, _ = KINDS[kind] if isinstance(kind, str) else kind
    hidden = {
        "none": lambda _: False,
        "all": lambda _: True,
        "first": lambda i: i == 0,
        "last": lambda i: i == rows - 1,
        "some": lambda i: i % 3 == 1 or i % 50 > 40,
        "runs": lambda i: i // 600 % 2 == 0,
    }[nulls]
    made = pa.array([None if hidden(i) else values[i % len(values)] for i in range(rows)], bits)
    return pa.ExtensionArray.from_storage(arrow, made) if isinstance(arrow, pa.BaseExtensionType) else made.view(arrow)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    """How a file may be laid out, whatever is in it."""
    return {
        "compression": draw(st.sampled_from(CODECS)),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
        "data_page_size": draw(st.sampled_from([1, 64, 1000, 4096, 1 << 20])),
        "write_batch_size": draw(st.sampled_from([1, 5, 8, 500, 1024])),
        "dictionary_pagesize_limit": draw(st.sampled_from([1, 64, 1000, 1 << 20])),
        "write_page_checksum": draw(st.booleans()),
        "store_decimal_as_integer": draw(st.booleans()),
    }


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), layout=layouts())
def test_any_column_is_decoded_as_pyarrow_decodes_it(
    kind: str, data: st.DataObject, layout: dict[str, Any], written: Any, natively: Any, identical: Any
) -> None:
    """Type, nulls, encoding, codec, pages and rows in any combination: natively, bit for bit, with pyarrow's type."""
    nulls = data.draw(st.sampled_from(["none", "some", "runs", "all", "first", "last"]))
    values = data.draw(st.lists(KINDS[kind][2], min_size=1, max_size=30))
    column = column_of(kind, values, data.draw(st.sampled_from(ROWS)), nulls)
    required = column.null_count == 0 and data.draw(st.booleans())
    encoding = data.draw(st.sampled_from([None, "PLAIN", *KINDS[kind][3]]))
    if encoding is not None:
        layout |= {"use_dictionary": False, "column_encoding": {"c": encoding}}
    table = pa.table([column], pa.schema([pa.field("c", column.type, nullable=not required)]))

    file = written(table, **layout)
    found = natively(file)["c"]

    assert found is not None
    found.validate(full=True)
    assert identical(pq.read_table(pa.BufferReader(file))["c"].combine_chunks(), found)


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        (DELTA, "int32"),
        (DELTA, "int64"),
        ("DELTA_LENGTH_BYTE_ARRAY", "string"),
        ("DELTA_BYTE_ARRAY", "string"),
        (SPLIT, "int64"),
        (SPLIT, "int32"),
        ("PLAIN", "string"),
    ],
)
@pytest.mark.parametrize("nulls", ["none", "some", "all"])
def test_encodings_of_many_values(
    encoding: str, kind: str, nulls: str, written: Any, natively: Any, identical: Any
) -> None:
    """Thousands of values, each of another size than its neighbours, over many pages."""
    source = np.random.default_rng(7)
    numbers = (source.integers(-(2**31), 2**31 - 1, 3000) >> source.integers(0, 31, 3000)).tolist()
    column = column_of(kind, [str(each) for each in numbers] if kind == "string" else numbers, 3000, nulls)

    file = written(pa.table({"c": column}), use_dictionary=False, column_encoding={"c": encoding}, data_page_size=2000)

    assert identical(column, natively(file)["c"])


@pytest.mark.parametrize("digits", range(1, 39))
@pytest.mark.parametrize("integers", [False, True])
def test_decimals_of_every_width(*, digits: int, integers: bool, written: Any, natively: Any, identical: Any) -> None:
    """1 to 16 bytes, or INT32 and INT64 where they fit; both ends of the range and both signs."""
    most = 10**digits - 1
    column = column_of(of_digits(digits, 0), [Decimal(value) for value in (most, -most, 0, 1, -1)], 900, "some")
    table = pa.table({"plain": column, "dictionary": column, "split": column})
    encodings = {"plain": "PLAIN", "split": SPLIT}

    file = written(table, store_decimal_as_integer=integers, use_dictionary=["dictionary"], column_encoding=encodings)
    found = natively(file)

    assert all(identical(column, found[name]) for name in table.column_names)


@pytest.mark.parametrize("kind", ["int64", "double", "string", "fixed"])
@pytest.mark.parametrize("nulls", ["none", "some"])
def test_a_dictionary_given_up_within_a_chunk(
    kind: str, nulls: str, written: Any, natively: Any, identical: Any
) -> None:
    """Pages of indices, then plain ones: each is decoded as what it is."""
    values = [b"%05d" % i if kind == "fixed" else str(i) if kind == "string" else i for i in range(4000)]
    column = column_of(kind, values, 4000, nulls)

    file = written(pa.table({"c": column}), dictionary_pagesize_limit=2000, data_page_size=1000, write_batch_size=100)
    found = natively(file)["c"]

    encodings = pq.read_metadata(pa.BufferReader(file)).row_group(0).column(0).encodings
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(encodings)
    assert identical(column, found)


@pytest.mark.parametrize("width", range(18))
def test_indices_of_every_bit_width(width: int, natively: Any, written: Any, identical: Any) -> None:
    """Packed indices of widths 0 to 17; a dictionary for more is too large for a test."""
    count = 2**width
    column = pa.array([(i * 7) % count for i in range(max(count, 1500))], pa.int32())

    file = written(pa.table({"c": column}), dictionary_pagesize_limit=1 << 30, data_page_size=1 << 20)

    assert identical(column, natively(file)["c"])
