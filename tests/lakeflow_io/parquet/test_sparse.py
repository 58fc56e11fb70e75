"""A file made of fetched ranges hands out just those, without a copy."""

from __future__ import annotations

import io

import pytest

from lakeflow_io.errors import InternalError
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges
from lakeflow_io.parquet.sparse import SparseFile

WHOLE = bytes(range(200))


def sparse(*ranges: tuple[int, int]) -> SparseFile:
    """A file of 200 bytes of which only `ranges` were fetched."""
    parts = [(ByteRange(start, length), memoryview(WHOLE)[start : start + length]) for start, length in ranges]
    return SparseFile(len(WHOLE), FetchedRanges("s3://bucket/key", parts))


@pytest.mark.parametrize(("start", "length"), [(10, 20), (10, 5), (25, 5), (100, 1), (199, 1), (150, 50)])
def test_a_fetched_range_reads_as_the_file_would(start: int, length: int) -> None:
    """Any range inside a fetched one has the bytes of the file at that place."""
    file = sparse((10, 20), (100, 100))

    file.seek(start)
    found = file.read(length)

    assert WHOLE[start : start + length] == bytes(found)
    assert start + length == file.tell()


def test_reading_does_not_copy() -> None:
    """What is read is a view of the buffer that came off the wire."""
    file = sparse((0, 200))

    found = file.read(10)

    assert found.obj is WHOLE


def test_reading_without_a_length_goes_to_the_end() -> None:
    """`read()` gives all that is left, as files do."""
    file = sparse((150, 50))

    file.seek(-50, io.SEEK_END)

    assert WHOLE[150:] == bytes(file.read())


def test_seeking_is_relative_to_start_position_and_end() -> None:
    """The three kinds of seek mean what they mean for files."""
    file = sparse((0, 200))

    assert [file.seek(10), file.seek(5, io.SEEK_CUR), file.seek(-5, io.SEEK_END)] == [10, 15, 195]


@pytest.mark.parametrize(("start", "length"), [(0, 1), (9, 2), (29, 2), (30, 1), (50, 60), (99, 10), (110, 1)])
def test_what_was_not_fetched_is_refused(start: int, length: int) -> None:
    """A range that isn't wholly fetched is a mistake of ours that names the file, never zeros."""
    file = sparse((10, 20), (100, 10))

    file.seek(start)

    with pytest.raises(InternalError, match=rf"s3://bucket/key.*{start}-{start + length}"):
        file.read(length)


def test_closing_lets_go_of_the_bytes() -> None:
    """A closed file holds no buffer."""
    file = sparse((0, 200))

    file.close()

    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
