"""A push to DynamoDB that is throttled, cut off or killed loses nothing, and leaves nothing behind in the end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from dying_push import killed_push

import lakeflow.cache.dynamodb.clear as clear_module
import lakeflow.cache.dynamodb.failures as failures_module
import lakeflow.cache.dynamodb.lease as lease_module
import lakeflow.cache.dynamodb.names as names_module
import lakeflow.cache.dynamodb.pusher as push_module
import lakeflow.cache.dynamodb.send as send_module
import lakeflow.cache.dynamodb.table as table_module
from lakeflow.cache.dynamodb import DynamoDBCache, push
from lakeflow.cache.dynamodb.send import Batch
from lakeflow_io.errors import AccessDeniedError, CommitConflictError, StoreError, ThrottledError

if TYPE_CHECKING:
    from faulty_dynamodb import Request

    from lakeflow.cache import Cache

pytestmark = pytest.mark.usefixtures("one_session")


ROWS = 110
"""Five batches."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several buckets, and waits that are short."""
    monkeypatch.setattr(names_module, "_BUCKET_ROWS", 30)
    monkeypatch.setattr(failures_module, "_BASE_SECONDS", 0.0001)


def whole(reader: DynamoDBCache, rows: int = ROWS) -> str:
    """The one tag of all rows."""
    (tag,) = set(reader.get_many(range(rows))["tag"].to_pylist())
    return tag


def test_a_push_that_is_killed_goes_on_where_it_was(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any
) -> None:
    """Readers see the old version; others are kept out for a minute; then only what was lacking is written."""
    reader = local_and_pushed(cache, places.url, rows_of("a", ROWS))
    half = cache.load(rows_of("b", ROWS), key="id").id
    killed_push(cache.root, places.url, "pusher", "_record", 4)  # the first three said: 25, 50 and 75 rows
    assert 75 <= places.rows(half) <= 100
    assert whole(reader) == "a"

    with pytest.raises(CommitConflictError, match=r"under way.*\n.*in \d+ seconds"):
        push(cache, places.url)
    places.expire_lease()
    report = push(cache, places.faulty_url)

    assert report.rows == 35
    assert places.faulty.count("BatchWriteItem") == 2
    assert whole(reader) == "b"
    assert {half: "complete"}.items() <= places.records().items()


def test_a_push_may_end_after_any_request(
    rows_of: Any, cache: Cache, places: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one request on, nothing more reaches the table, as when the pusher's machine has gone; for each of them.

    Readers have the old version or the new one, whole. The same push again makes the new one current, and the next
    ones leave two versions and nothing else.
    """
    monkeypatch.setattr(table_module, "_ATTEMPTS", 1)
    monkeypatch.setattr(send_module, "_ATTEMPTS", 1)
    rows, ends = 60, 0
    reader = DynamoDBCache("scores", places.url)
    tags = [f"v{number}" for number in range(100)]
    for tag in tags[:2]:
        cache.load(rows_of(tag, rows), key="id")
        push(cache, places.url)
    for before, now in pairwise(tags[1:]):
        end = len(places.faulty.requests) + ends
        places.faulty.act = lambda request, end=end: "lose" if request.number >= end else None
        cache.load(rows_of(now, rows), key="id")
        try:
            push(cache, places.faulty_url)
            break
        except StoreError:
            ends += 1
        assert whole(reader, rows) in (before, now)
        places.expire_lease()
        push(cache, places.url)
        assert whole(reader, rows) == now
        assert sum("/" in pk for pk, _ in places.items()) == 2 * rows

    places.expire_lease()  # of the last one, which couldn't give it back
    push(cache, places.url)
    assert whole(reader, rows) == now
    assert ends > 15
    assert len(places.items()) == 2 * rows + 3


def test_rows_of_another_format_are_not_gone_on_with(rows_of: Any, cache: Cache, places: Any) -> None:
    """Such as an earlier version of lakeflow wrote: all are written anew."""
    cache.load(rows_of("a", ROWS), key="id")
    killed_push(cache.root, places.url, "pusher", "_record", 3)
    places.expire_lease()
    record = next(key for key in places.items() if key[1].startswith(b"upload/"))
    places.raw.update_item(
        TableName=places.table,
        Key={"pk": {"S": record[0]}, "sk": {"B": record[1]}},
        UpdateExpression="SET row_format = :other",
        ExpressionAttributeValues={":other": {"N": "0"}},
    )

    assert push(cache, places.url).rows == ROWS


def test_a_killed_push_of_another_version_leaves_nothing(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any
) -> None:
    """Its rows are removed by the next push; its record, and rows that came late, by the one after."""
    reader = local_and_pushed(cache, places.url, rows_of("a", ROWS))
    dead = cache.load(rows_of("b", ROWS), key="id").id
    killed_push(cache.root, places.url, "pusher", "_record", 3)
    places.expire_lease()
    late = next(key for key in places.items() if key[0].startswith(f"scores/{dead}."))

    cache.load(rows_of("c", ROWS), key="id")
    push(cache, places.url)
    assert places.rows(dead) == 0
    assert places.records()[dead] == "abandoned"
    places.raw.put_item(TableName=places.table, Item={"pk": {"S": late[0]}, "sk": {"B": late[1]}})
    push(cache, places.url)

    assert whole(reader) == "c"
    assert dead not in places.records()
    assert len(places.items()) == 2 * ROWS + 3


@pytest.mark.parametrize("how", ["lose", "forget", "InternalServerError", "ThrottlingException"])
def test_every_kind_of_request_is_repeated(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any, how: str
) -> None:
    """The first of each operation is lost before or after it was done, fails or is throttled: nothing is lost."""
    for tag in "ab":
        local_and_pushed(cache, places.url, rows_of(tag, ROWS))
    cache.load(rows_of("c", ROWS), key="id")
    met: set[str] = set()

    def act(request: Request) -> str | None:
        first = request.operation not in met
        met.add(request.operation)
        return how if first else None

    places.faulty.act = act
    report = push(cache, places.faulty_url)
    reader = DynamoDBCache("scores", places.faulty_url)

    assert (report.rows, report.written) == (ROWS, True)
    assert whole(reader) == "c"
    assert {"UpdateItem", "GetItem", "Query", "BatchWriteItem", "DeleteItem", "BatchGetItem"} == met
    assert len(places.items()) == 2 * ROWS + 3


def test_what_a_table_leaves_undone_is_sent_again(rows_of: Any, cache: Cache, places: Any) -> None:
    """Each batch is done in parts of ten, or not at all, for a while; each row arrives."""
    cache.load(rows_of("a", ROWS), key="id")

    def act(request: Request) -> Any:
        if request.operation != "BatchWriteItem" or request.number % 4 == 0:
            return None
        ((_, requests),) = request.body["RequestItems"].items()
        return (
            "ProvisionedThroughputExceededException"
            if request.number % 4 == 1
            else ("leave", max(len(requests) - 10, 0))
        )

    places.faulty.act = act
    push(cache, places.faulty_url)

    assert places.faulty.count("BatchWriteItem") > 5
    assert whole(DynamoDBCache("scores", places.url)) == "a"


@pytest.mark.parametrize("refusal", ["ProvisionedThroughputExceededException", ("leave", 25)], ids=str)
def test_a_table_without_capacity_ends_a_push_that_can_go_on(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any, monkeypatch: pytest.MonkeyPatch, refusal: Any
) -> None:
    """After many attempts; the old version stays, and the lease is given back."""
    monkeypatch.setattr(send_module, "_ATTEMPTS", 4)
    reader = local_and_pushed(cache, places.url, rows_of("a", ROWS))
    cache.load(rows_of("b", ROWS), key="id")
    places.faulty.act = lambda request: refusal if request.operation == "BatchWriteItem" else None

    with pytest.raises(ThrottledError, match=places.table) as caught:
        push(cache, places.faulty_url)

    assert "on-demand" in str(caught.value)
    assert whole(reader) == "a"
    places.faulty.act = lambda _: None
    assert push(cache, places.faulty_url).rows == ROWS
    assert whole(reader) == "b"


def test_a_refusal_ends_a_push_at_once(rows_of: Any, cache: Cache, places: Any) -> None:
    """Without the right to write, nothing is repeated."""
    cache.load(rows_of("a", ROWS), key="id")
    refused = "AccessDeniedException"
    places.faulty.act = lambda request: refused if request.operation == "BatchWriteItem" else None

    with pytest.raises(AccessDeniedError, match="denies access"):
        push(cache, places.faulty_url)

    assert places.faulty.count("BatchWriteItem") <= 5


def test_a_push_that_lost_its_lease_changes_nothing(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer's change is refused where another pusher has taken over meanwhile, whose lease stays."""
    reader = local_and_pushed(cache, places.url, rows_of("a", ROWS))
    cache.load(rows_of("b", ROWS), key="id")
    write = push_module._write

    def overtaken(*given: Any) -> None:
        write(*given)
        places.set_pointer("SET lease_token = :another", another={"S": "another"})

    monkeypatch.setattr(push_module, "_write", overtaken)

    with pytest.raises(CommitConflictError, match="took over"):
        push(cache, places.url)

    assert whole(reader) == "a"
    with pytest.raises(CommitConflictError, match="under way"):
        push(cache, places.url)


def test_a_long_push_keeps_its_lease(rows_of: Any, cache: Cache, places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is renewed while batches wait for capacity, and says how far the push is."""
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0)
    cache.load(rows_of("a", ROWS), key="id")
    untils: list[int] = []

    def act(request: Request) -> None:
        values = request.body.get("ExpressionAttributeValues", {})
        if request.operation == "UpdateItem" and ":set_lease_until" in values:
            untils.append(int(values[":set_lease_until"]["N"]))

    places.faulty.act = act
    push(cache, places.faulty_url)

    assert len(untils) > 3
    assert untils == sorted(untils)


def test_a_failed_clearing_says_that_the_pointer_is_set(
    local_and_pushed: Any, rows_of: Any, cache: Cache, places: Any
) -> None:
    """Readers have the new version; the next push removes what is too old."""
    for tag in "ab":
        reader = local_and_pushed(cache, places.url, rows_of(tag, ROWS))
    cache.load(rows_of("c", ROWS), key="id")
    places.faulty.act = lambda request: "AccessDeniedException" if request.operation == "DeleteItem" else None

    with pytest.raises(StoreError, match=r"is current in .* but older rows aren't removed"):
        push(cache, places.faulty_url)

    assert whole(reader) == "c"
    push(cache, places.url)
    assert len(places.items()) == 2 * ROWS + 3


def test_a_lease_that_cannot_be_given_back_fails_no_push(
    rows_of: Any, cache: Cache, places: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The version is current and the rest is cleared: a warning says what keeps others out, and how long."""
    cache.load(rows_of("a", ROWS), key="id")

    def act(request: Request) -> str | None:
        return "AccessDeniedException" if "REMOVE lease" in request.body.get("UpdateExpression", "") else None

    places.faulty.act = act
    report = push(cache, places.faulty_url)

    assert (report.written, whole(DynamoDBCache("scores", places.url))) == (True, "a")
    assert "stays for up to 60 seconds" in caplog.text


def test_memory_is_bounded_by_batches(cache: Cache, places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch has more than 25 rows or a MiB, and no more than 32 wait, however many and long rows are."""
    import pyarrow as pa

    sizes: list[int] = []
    waiting: list[int] = []
    settled = send_module._settled

    def act(request: Request) -> None:
        if request.operation == "BatchWriteItem":
            ((_, requests),) = request.body["RequestItems"].items()
            sizes.append(sum(len(each["PutRequest"]["Item"]["v"]["S"]) for each in requests))
            assert len(requests) <= 25

    monkeypatch.setattr(send_module, "_settled", lambda *given: (waiting.append(len(given[0])), settled(*given))[1])
    places.faulty.act = act
    texts = ["x" * (300_000 if n < 10 else 1) for n in range(1500)]
    cache.load(pa.table({"id": range(1500), "text": texts}), key="id")
    push(cache, places.faulty_url)

    assert max(sizes) <= 1 << 20
    assert 0 < max(waiting) <= 32


def test_removals_are_spread_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 rows a second: batches that would be early wait, late ones don't."""
    clock = [100.0]
    monkeypatch.setattr(clear_module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(clear_module.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    batches = [Batch([], 25 * (number + 1)) for number in range(400)]

    sent = []
    for number, _ in enumerate(clear_module._paced(iter(batches))):
        clock[0] += 1.0 if number == 200 else 0.0
        sent.append(clock[0])

    assert sent[199] == pytest.approx(100 + 5000 / 4000)
    assert sent[-1] == pytest.approx(100 + 10_000 / 4000)
