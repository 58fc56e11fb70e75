"""What doesn't fit into DynamoDB is refused by key and column before anything is written; and the pace of requests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow.cache.dynamodb import DynamoDBCache, push
from lakeflow.cache.dynamodb.pace import Pace
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from lakeflow.cache import Cache

ITEM_BYTES = 409_600


def longest_text(cache: Cache) -> int:
    """How many characters fit beside a row's key and names; the version's id is always as long."""
    cache.load(pa.table({"id": [1]}), key="id")
    partition = f"scores/{cache.version.id}.1.0123456789ab/0"
    return ITEM_BYTES - len("pk" + "sk" + "v" + partition + ":1" + '[0,"",0]')


@pytest.mark.parametrize("filler", ["x", "é", "\0"], ids=["one-byte", "two-bytes", "escaped"])
def test_a_row_of_400_kilobytes_fits_and_one_byte_more_is_refused(
    cache: Cache, places: Any, has_dynalite: Any, filler: str
) -> None:
    """Counted as DynamoDB counts; the key and the longest column are named, and nothing is written."""
    in_json = {"x": 1, "é": 2, "\0": 6}[filler]
    room = longest_text(cache)
    text = filler * (room // in_json) + "x" * (room % in_json)
    columns = {"id": [1, 2], "a": [0, 0], "text": ["", text], "z": [0, 0]}
    cache.load(pa.table(columns), key="id")
    if has_dynalite:  # moto takes 405,000 bytes
        push(cache, places.url)
        assert DynamoDBCache("scores", places.url).get(2)["text"] == text

    cache.load(pa.table({**columns, "text": ["", text + "x"]}), key="id")
    before = places.items()
    with pytest.raises(UnsupportedError, match=r"row of key 2 takes 409,601 bytes.*column 'text'"):
        push(cache, places.url)
    assert before == places.items()


@pytest.mark.parametrize(
    ("ids", "key", "said"),
    [
        ({"id": ["a", "k" * 1024]}, "id", "A key of 1,024 bytes in column 'id'"),
        ({"id": [b"a", b"k" * 1024]}, "id", "A key of 1,024 bytes in column 'id'"),
        ({"a": ["é" * 250, "é" * 300], "b": ["x", "y" * 416]}, ["a", "b"], r"A key of 1,024 bytes in column 'a.*b'"),
    ],
    ids=["str", "bytes", "composite"],
)
def test_a_key_that_is_too_long_is_refused(cache: Cache, places: Any, ids: Any, key: Any, said: str) -> None:
    """It is named in part, and nothing is written."""
    cache.load(pa.table({**ids, "x": [1, 2]}), key=key)

    with pytest.raises(UnsupportedError, match=said) as caught:
        push(cache, places.url)

    assert len(str(caught.value)) < 300
    assert places.items() == []


def test_a_column_without_an_exact_form_is_refused(cache: Cache, places: Any) -> None:
    """By its name, before anything is written."""
    cache.load(pa.table({"id": [1], "odd": pa.nulls(1, pa.struct([("a", pa.int64()), ("a", pa.string())]))}), key="id")

    with pytest.raises(UnsupportedError, match="'odd'"):
        push(cache, places.url)

    assert places.items() == []


def test_a_schema_that_is_too_long_is_refused(cache: Cache, places: Any) -> None:
    """It is recorded in one item."""
    names = [f"{'c' * 1000}{number}" for number in range(180)]
    cache.load(pa.table({"id": [1], **{name: [1] for name in names}}), key="id")

    with pytest.raises(UnsupportedError, match="181 columns"):
        push(cache, places.url)


def test_requests_come_one_by_one_more_and_halve() -> None:
    """One more for each round that went well, up to the most; half, once for a round, where one was too much."""
    pace = Pace(8)
    assert pace.limit == 4

    for _ in range(4 + 5 + 6 + 7 + 8):
        pace.end(pace.begin(), throttled=False)
    assert pace.limit == 8
    together = [pace.begin() for _ in range(8)]
    for began in together:
        pace.end(began, throttled=True)
    assert pace.limit == 4
    for _ in range(5):
        pace.end(pace.begin(), throttled=True)
    assert pace.limit == 1


def test_no_more_requests_than_the_limit_fly() -> None:
    """The next waits for a place."""
    pace = Pace(2)
    first, _ = pace.begin(), pace.begin()
    third = threading.Thread(target=pace.begin)
    third.start()

    third.join(0.05)
    assert third.is_alive()
    pace.end(first, throttled=False)
    third.join(30)
    assert not third.is_alive()
