"""Column chunks become few requests, and no byte that is wanted is left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import InternalError
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges, coalesce

KIB = 1024
MIB = 1024 * KIB


@st.composite
def chunks(draw: st.DrawFn) -> list[ByteRange]:
    """Ranges without overlap, as the column chunks of a row group are, in any order."""
    position, found = 0, []
    for _ in range(draw(st.integers(0, 12))):
        position += draw(st.sampled_from([0, 1, 128 * KIB, 128 * KIB + 1, 5 * MIB]) | st.integers(0, 300 * KIB))
        length = draw(st.sampled_from([1, 16 * MIB, 16 * MIB + 1]) | st.integers(1, 20 * MIB))
        found.append(ByteRange(position, length))
        position += length
    return draw(st.permutations(found))


@given(chunks())
def test_a_chunk_of_up_to_16_mib_lies_in_one_request(wanted: list[ByteRange]) -> None:
    """Each such chunk is inside exactly one request: the decoder reads it as one view."""
    requests = coalesce(wanted)

    small = [chunk for chunk in wanted if chunk.length <= 16 * MIB]
    inside = [sum(each.start <= chunk.start and chunk.end <= each.end for each in requests) for chunk in small]
    assert inside == [1] * len(small)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12)), max_size=8), st.data())
def test_what_was_fetched_in_parts_reads_as_one(gaps: list[tuple[int, int]], data: st.DataObject) -> None:
    """However a file was cut into requests, any range that they cover reads as the file would, and no other."""
    edges, at = [], 0
    for gap, length in gaps:
        edges.append(ByteRange(at + gap, length))
        at += gap + length
    whole = bytes(range(at + 1))
    fetched = FetchedRanges("s3://bucket/key", [(each, memoryview(whole)[each.start : each.end]) for each in edges])
    covered = {byte for each in edges for byte in range(each.start, each.end)}
    start = data.draw(st.integers(0, at))
    length = data.draw(st.integers(1, at + 1 - start))

    if set(range(start, start + length)) <= covered:
        assert whole[start : start + length] == bytes(fetched.view(start, length))
    else:
        with pytest.raises(InternalError, match="s3://bucket/key"):
            fetched.view(start, length)


@given(chunks())
def test_requests_are_sorted_and_never_overlap(wanted: list[ByteRange]) -> None:
    """No byte is fetched twice, and requests come in the order of the file."""
    requests = coalesce(wanted)

    assert all(one.end <= other.start for one, other in pairwise(requests))


@given(chunks())
def test_a_request_is_16_mib_at_most(wanted: list[ByteRange]) -> None:
    """Requests stop growing at 16 MiB; a chunk that is larger by itself comes in parts."""
    requests = coalesce(wanted)

    assert all(each.length <= 16 * MIB for each in requests)


@given(chunks())
def test_no_wanted_byte_is_left_out(wanted: list[ByteRange]) -> None:
    """Every byte of every chunk is in a request, also where a chunk is cut."""
    requests = coalesce(wanted)

    for chunk in wanted:
        inside = sum(max(0, min(each.end, chunk.end) - max(each.start, chunk.start)) for each in requests)
        assert inside == chunk.length


@given(chunks())
def test_bytes_nobody_wants_are_bounded(wanted: list[ByteRange]) -> None:
    """What is fetched beside the chunks is less than 128 KiB for each chunk but the first."""
    requests = coalesce(wanted)

    surplus = sum(each.length for each in requests) - sum(each.length for each in wanted)
    assert 0 <= surplus <= 128 * KIB * max(0, len(wanted) - 1)


@given(chunks())
def test_two_requests_could_not_have_been_one(wanted: list[ByteRange]) -> None:
    """Neighbours stay apart only because of their gap or their size."""
    requests = coalesce(wanted)

    for one, other in pairwise(requests):
        begins = [chunk for chunk in wanted if chunk.start == other.start]
        first_of_other = min((chunk.end for chunk in begins), default=other.end)
        cut = not begins or begins[0].length > 16 * MIB
        assert cut or other.start - one.end > 128 * KIB or first_of_other - one.start > 16 * MIB
