"""Row groups found in a footer's own bytes are those that pyarrow finds."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.parquet.footer import Footer, parse_footer
from lakeflow_io.parquet.native.binding import library
from lakeflow_io.parquet.ranges import column_chunks, row_group_start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(library() is None, reason="there is no compiled decoder")

TABLE = pa.table(
    {
        "id": pa.array([1, 2, None, 4] * 25),
        "word": ["a", "b", "c", "d"] * 25,
        "list": [[1, 2], None, [], [3]] * 25,
        "struct": [{"a": 1, "b": "x"}, None] * 50,
    }
)


def written(path: Path, **options: Any) -> bytes:
    """A file of a few row groups."""
    chosen: dict[str, Any] = {"row_group_size": 40, **options}
    pq.write_table(TABLE, path, **chosen)
    return path.read_bytes()


def known(data: bytes) -> Footer:
    """The footer of a file whose schema was met before."""
    schemas: dict[bytes, int] = {}
    parse_footer("f", len(data), memoryview(data), schemas)
    return parse_footer("f", len(data), memoryview(data), schemas)


def assert_as_pyarrow_has_it(footer: Footer) -> None:
    """Rows, beginnings and chunks of all row groups."""
    metadata = footer.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    leaves = range(metadata.num_columns)
    assert list(footer.rows) == [group.num_rows for group in groups]
    assert [footer.start(index) for index in range(len(groups))] == [row_group_start(group) for group in groups]
    assert [footer.chunks(index, leaves) for index in range(len(groups))] == [
        column_chunks(group, leaves) for group in groups
    ]


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_row_groups_are_found_without_decoding(tmp_path: Path, compression: str, *, use_dictionary: bool) -> None:
    """Every place is pyarrow's, whatever the codec, with dictionaries and without; nothing else was decoded."""
    footer = known(written(tmp_path / "f.parquet", compression=compression, use_dictionary=use_dictionary))

    assert footer.places is not None
    assert footer.decoded is None
    assert_as_pyarrow_has_it(footer)


def test_a_codec_of_two_names_is_left_to_pyarrow(tmp_path: Path) -> None:
    """What pyarrow calls LZ4 is one of two codecs: it alone tells."""
    footer = known(written(tmp_path / "f.parquet", compression="lz4"))

    assert footer.places is None
    assert footer.columns == 5


def test_a_first_file_is_decoded(tmp_path: Path) -> None:
    """A schema that nobody has met is pyarrow's to judge, and counted from then on."""
    data, schemas = written(tmp_path / "f.parquet"), dict[bytes, int]()

    footer = parse_footer("f", len(data), memoryview(data), schemas)

    assert footer.places is None
    assert list(schemas.values()) == [5]
    assert_as_pyarrow_has_it(footer)


def test_a_damaged_footer_is_refused_or_means_what_pyarrow_says(tmp_path: Path) -> None:
    """One byte changed of a known schema's file: what is found without pyarrow is what it would have found."""
    data = written(tmp_path / "f.parquet", row_group_size=100)
    schemas: dict[bytes, int] = {}
    parse_footer("f", len(data), memoryview(data), schemas)
    start, compared = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0], 0
    for number in range(0, (len(data) - 8 - start) * 256, 151):
        damaged = bytearray(data)
        damaged[start + number // 256] = number % 256
        try:
            footer = parse_footer("f", len(damaged), memoryview(damaged), dict(schemas))
            _ = footer.metadata
        except (CorruptFileError, UnsupportedError):
            continue
        assert_as_pyarrow_has_it(footer)
        compared += footer.places is not None

    assert compared > 400
