"""Whatever is written is read back: the reader agrees with pyarrow on every value."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.expressions import parser
from pyiceberg.expressions.visitors import bind

from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_filter, arrow_schema
from lakeflow_io.iceberg.shards import balance
from lakeflow_io.parquet import footer
from lakeflow_io.reader import unit
from lakeflow_io.reader.work import Scanning

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow_io.iceberg.plan import Piece

MAPS = st.dictionaries(st.text(max_size=2), st.integers(-9, 9)).map(lambda each: list(each.items()))
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "l": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "f": (pa.float32(), st.floats(width=32)),
    "d": (pa.float64(), st.floats()),
    "b": (pa.bool_(), st.booleans()),
    "s": (pa.string(), st.text(max_size=8)),
    "x": (pa.binary(), st.binary(max_size=8)),
    "day": (pa.date32(), st.dates()),
    "ts": (pa.timestamp("us"), st.datetimes()),
    "tz": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    "n": (pa.decimal128(12, 3), st.integers(-(10**12) + 1, 10**12 - 1).map(lambda each: Decimal(each).scaleb(-3))),
    "list": (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-9, 9), max_size=3)),
    "struct": (
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
        st.fixed_dictionaries({"a": st.none() | st.integers(-9, 9), "b": st.none() | st.text(max_size=3)}),
    ),
    "map": (pa.map_(pa.string(), pa.int64()), MAPS),
}  # fmt: skip
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in KINDS.items()])
FILTERS = [
    None, "i > 0", "l <= 5 or s = 'a'", "b = true and d >= 0", "s like 'a%'", "d is nan", "f is not nan and i is null",
    "s is not null", "not (i between -5 and 5)", "day >= '2000-01-01'", "n > 1.500", "s in ('a', 'b', '')",
    "ts < '2020-01-01T00:00:00'",
]  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of every kind of column, with nulls."""
    rows = draw(st.integers(1, 25))
    return pa.table(
        {
            name: pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
            for name, (kind, values) in KINDS.items()
        }
    )


def plain(data: pa.Table) -> list[str]:
    """Rows that compare equal when they are: NaN is NaN, -0.0 is -0.0."""
    return [repr(row) for row in data.to_pylist()]


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    """How pyarrow's own writer lays a table out in a file."""
    dictionary = draw(st.booleans())
    plain = {
        "f": "BYTE_STREAM_SPLIT",
        "l": "DELTA_BINARY_PACKED",
        "s": "DELTA_BYTE_ARRAY",
        "x": "DELTA_LENGTH_BYTE_ARRAY",
    }
    encoded = not dictionary and draw(st.booleans())
    return {
        "row_group_size": draw(st.integers(1, 12)),
        "use_dictionary": dictionary,
        "column_encoding": plain if encoded else None,
        "compression": draw(st.sampled_from(["none", "snappy", "gzip", "brotli", "zstd", "lz4"])),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
        "data_page_size": draw(
            st.sampled_from([16, 256, 1024 * 1024])
        ),  # of less, pyarrow makes lists that it misreads
        "write_statistics": draw(st.booleans()),
        "store_decimal_as_integer": draw(st.booleans()),
        "write_page_checksum": draw(st.booleans()),
    }


def cut(piece: Piece, groups: int) -> list[Piece]:
    """A file's row groups in pieces of so many."""
    starts = [*piece.splits[::groups], piece.file_size]
    return [replace(piece, start=start, end=end) for start, end in itertools.pairwise([0, *starts[1:]])]


@settings(max_examples=90)
@given(
    data=tables(),
    layout=layouts(),
    columns=st.lists(st.sampled_from(list(KINDS)), unique=True, min_size=1),
    where=st.sampled_from(FILTERS),
    budget=st.sampled_from([1, 2000, 30_000, None]),
    late=st.sampled_from(["always", "never", "as it pays"]),
    packed=st.booleans(),
    pieces=st.integers(1, 30),
)
def test_a_scan_reads_what_pyarrow_would(
    memory_files: Callable[..., Any],
    data: pa.Table,
    layout: dict[str, Any],
    columns: list[str],
    where: str | None,
    budget: int | None,
    late: str,
    *,
    packed: bool,
    pieces: int,
) -> None:
    """The rows and the order of the file, whatever is read of it, how it is laid out and in which parts it is read."""
    files = memory_files(SCHEMA)
    sink = pa.BufferOutputStream()
    pq.write_table(conform(data, arrow_schema(files.schema, field_ids=True), "tests"), sink, **layout)
    piece = files.add_bytes("memory://tests/data/file.parquet", bytes(sink.getvalue()))
    spec = files.spec(columns, where)

    with pytest.MonkeyPatch.context() as patch:
        if late != "as it pays":
            patch.setattr(Scanning, "reads_late", lambda *_: late == "always" and where is not None)
        if not packed:
            patch.setattr(unit, "_PACKED_BYTES", 0)
        # Nothing comes with the footer: each chunk is asked for.
        patch.setattr(footer, "_WHOLE_FILE_BYTES", 0)
        patch.setattr(footer, "_LEAST_TAIL_BYTES", 64)
        found = files.read(spec, cut(piece, pieces), memory=budget)

    expected = pq.read_table(pa.BufferReader(files.transport.objects[piece.path]))
    if where:
        bound = bind(files.schema, parser.parse(where), case_sensitive=True)
        expected = expected.filter(arrow_filter(bound, files.schema))
    assert found.schema == arrow_schema(spec.columns)
    assert expected.num_rows == found.num_rows
    assert plain(expected.select(columns)) == plain(found)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    row_group=st.integers(1, 20),
    n=st.integers(1, 12),
)
def test_shards_yield_each_row_exactly_once(
    memory_files: Callable[..., Any], sizes: list[int], row_group: int, n: int
) -> None:
    """However files are cut into shards, together they hold every row once."""
    files = memory_files(pa.schema([("id", pa.int64()), ("text", pa.string())]), row_group)
    start = 0
    for rows in sizes:
        ids = list(range(start, start + rows))
        files.add(pa.table({"id": ids, "text": [f"{each}" * 3 for each in ids]}))
        start += rows
    spec = files.spec()

    shards = balance(spec, files.pieces, n)

    found = [value for shard in shards for value in files.read(spec, shard.pieces)["id"].to_pylist()]
    assert list(range(start)) == sorted(found)


def test_offsets_that_a_manifest_lacks_do_not_lose_rows(memory_files: Callable[..., Any]) -> None:
    """Cuts that are no row group's beginning, as another writer may leave, still yield each row once."""
    files = memory_files(pa.schema([("id", pa.int64())]), 10)
    piece = files.add(pa.table({"id": list(range(100))}))
    edges = [0, 1, 7, piece.file_size // 3, piece.file_size // 2, piece.file_size]

    parts = [replace(piece, start=a, end=b) for a, b in itertools.pairwise(edges)]

    assert list(range(100)) == files.read(pieces=parts)["id"].to_pylist()


@pytest.mark.parametrize("name", ["a.b", "a b", "ü", "a`b", "select", "a.list.element"])
def test_a_columns_name_may_be_anything(memory_files: Callable[..., Any], name: str) -> None:
    """A dot, a space or a keyword in a name reads as any other name."""
    files = memory_files(pa.schema([("a", pa.int64()), (name, pa.int64())]))
    files.add(pa.table({"a": [1, 2], name: [3, 4]}))

    found = files.read(files.spec([name]))

    assert found.column(0).to_pylist() == [3, 4]
