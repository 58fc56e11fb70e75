"""Column chunks become few requests, and no byte that is wanted is left out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.parquet.ranges import ByteRange, coalesce

KIB = 1024
MIB = 1024 * KIB


@st.composite
def chunks(draw: st.DrawFn) -> list[ByteRange]:
    """Ranges without overlap, as the column chunks of a row group are, in any order."""
    position, found = 0, []
    for _ in range(draw(st.integers(0, 12))):
        position += draw(st.sampled_from([0, 1, 64 * KIB, 64 * KIB + 1, 5 * MIB]) | st.integers(0, 200 * KIB))
        length = draw(st.sampled_from([1, 16 * MIB, 16 * MIB + 1]) | st.integers(1, 20 * MIB))
        found.append(ByteRange(position, length))
        position += length
    return draw(st.permutations(found))


@given(chunks())
def test_every_chunk_lies_in_one_request(wanted: list[ByteRange]) -> None:
    """Each chunk is inside exactly one request: the decoder reads it as one view."""
    requests = coalesce(wanted)

    inside = [sum(each.start <= chunk.start and chunk.end <= each.end for each in requests) for chunk in wanted]
    assert inside == [1] * len(wanted)


@given(chunks())
def test_requests_are_sorted_and_never_overlap(wanted: list[ByteRange]) -> None:
    """No byte is fetched twice, and requests come in the order of the file."""
    requests = coalesce(wanted)

    assert all(one.end <= other.start for one, other in pairwise(requests))


@given(chunks())
def test_a_request_is_16_mib_at_most_unless_it_is_one_chunk(wanted: list[ByteRange]) -> None:
    """Requests stop growing at 16 MiB; only a chunk that is larger by itself goes beyond."""
    requests = coalesce(wanted)

    assert all(each.length <= 16 * MIB or each in wanted for each in requests)


@given(chunks())
def test_bytes_nobody_wants_are_bounded(wanted: list[ByteRange]) -> None:
    """What is fetched beside the chunks is less than 64 KiB for each chunk but the first."""
    requests = coalesce(wanted)

    surplus = sum(each.length for each in requests) - sum(each.length for each in wanted)
    assert 0 <= surplus <= 64 * KIB * max(0, len(wanted) - 1)


@given(chunks())
def test_two_requests_could_not_have_been_one(wanted: list[ByteRange]) -> None:
    """Neighbours stay apart only because of their gap or their size."""
    requests = coalesce(wanted)

    for one, other in pairwise(requests):
        first_of_other = min(chunk.end for chunk in wanted if chunk.start == other.start)
        assert other.start - one.end > 64 * KIB or first_of_other - one.start > 16 * MIB
