"""One count of a run: each shard once, whatever was tried for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lakeflow.runs.progress.tally import Tally


@dataclass
class Work:
    """What an attempt is at."""

    id: str
    bytes: int = 100
    rows: int = 10


@dataclass
class Job:
    """Whether the run writes."""

    writers: dict[str, Any]


@dataclass
class Attempt:
    """What the scheduler reports."""

    work: Work
    number: int = 0
    job: Job = field(default_factory=lambda: Job({"out": None}))


def attempt(work_id: str, number: int = 0) -> Any:
    """A try at a shard of 100 bytes."""
    return Attempt(Work(work_id), number)


def tally_of(works: int, done: int = 0, parts: Any = ()) -> Tally:
    """A run of shards of 100 bytes, the first of them done."""
    return Tally(
        (Work(f"shard-{each:05d}") for each in range(works)), {f"shard-{each:05d}" for each in range(done)}, parts
    )


def marker(work_id: str, size: int = 100) -> dict[str, Any]:
    """What it leaves."""
    return {"shard": work_id, "rows_in": 10, "rows": 7, "bytes_in": size}


def test_a_shard_that_is_done_counts_once() -> None:
    """Rows in and out and bytes are its marker's."""
    tally = tally_of(4)

    for number in range(2):
        tally.started(attempt(f"shard-{number:05d}"))
        tally.done(attempt(f"shard-{number:05d}"), marker(f"shard-{number:05d}"))

    assert (tally.works_done, tally.running, tally.rows_in, tally.rows, tally.bytes_done) == (2, 0, 20, 14, 200)
    assert tally.share == 0.5


def test_twins_count_once() -> None:
    """Of two attempts at a shard the first to end counts; the other's success or failure changes nothing."""
    tally = tally_of(2)
    tally.started(attempt("shard-00000"))
    tally.started(attempt("shard-00000", 1))

    running = tally.running
    tally.done(attempt("shard-00000", 1), marker("shard-00000"))
    tally.done(attempt("shard-00000"), marker("shard-00000"))

    assert (running, tally.running, tally.works_done, tally.bytes_done) == (1, 0, 1, 100)


def test_a_retry_is_no_failure() -> None:
    """A shard that is tried again isn't running in between, and is given up only when nobody tries it any more."""
    tally = tally_of(2)
    tally.started(attempt("shard-00000"))

    tally.failed(attempt("shard-00000"), None, "again")  # type: ignore[arg-type]
    between = (tally.running, tally.retries, tally.works_failed)
    tally.started(attempt("shard-00000", 1))
    tally.failed(attempt("shard-00000", 1), None, "quarantined")  # type: ignore[arg-type]

    assert between == (0, 1, 0)
    assert (tally.running, tally.retries, tally.works_failed, tally.works_quarantined) == (0, 1, 1, 1)


def test_a_failed_twin_leaves_the_other_running() -> None:
    """A shard runs as long as one of its attempts does."""
    tally = tally_of(1)
    tally.started(attempt("shard-00000"))
    tally.started(attempt("shard-00000", 1))

    tally.failed(attempt("shard-00000"), None, "again")  # type: ignore[arg-type]

    assert tally.running == 1


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_make_one_shard(order: tuple[int, ...]) -> None:
    """A shard that was split counts with its last part; its bytes count with each."""
    tally = tally_of(2)

    seen = []
    for part in order:
        name = f"shard-00001.{part}of3"
        tally.started(attempt(name))
        tally.done(attempt(name), marker(name, 30))
        seen.append((tally.works_done, tally.bytes_done))

    assert seen == [(0, 30), (0, 60), (1, 90)]


def test_parts_that_fail_are_one_shard() -> None:
    """Two parts given up are one shard given up."""
    tally = tally_of(2)

    for part in (1, 2):
        tally.started(attempt(f"shard-00001.{part}of3"))
        tally.failed(attempt(f"shard-00001.{part}of3"), None, "quarantined")  # type: ignore[arg-type]

    assert tally.works_failed == 1


def test_what_was_done_before_is_no_speed() -> None:
    """A run that is resumed at three quarters isn't three times as fast for it."""
    tally = tally_of(8, 6)
    before = (tally.works_done, tally.seconds_left(10.0))

    tally.started(attempt("shard-00006"))
    tally.done(attempt("shard-00006"), marker("shard-00006"))

    assert before == (6, None)
    assert tally.seconds_left(10.0) == pytest.approx(10.0)


def test_parts_that_were_done_before() -> None:
    """A resumed run counts the shard when the rest of its parts has ended."""
    tally = tally_of(2, parts=["shard-00001.2of2"])
    tally.started(attempt("shard-00001.1of2"))

    tally.done(attempt("shard-00001.1of2"), marker("shard-00001.1of2"))

    assert tally.works_done == 1


def test_parts_of_a_shard_that_a_twin_did_whole_are_nothing_more() -> None:
    """It is one shard."""
    assert tally_of(2, 2, ["shard-00001.1of2", "shard-00001.2of2"]).works_done == 2


def test_values_count_by_their_shard() -> None:
    """Where nothing is written a value may be anything; rows and bytes are the shard's."""
    tally = tally_of(1)
    values_only = Attempt(Work("shard-00000"), 0, Job({}))
    tally.started(values_only)  # type: ignore[arg-type]

    tally.done(values_only, {"rows": "mine"})  # type: ignore[arg-type]

    assert (tally.works_done, tally.rows_in, tally.rows) == (1, 10, 0)


def test_items_without_bytes_are_counted() -> None:
    """The share of a run over items is that of their number; nothing says how long the rest takes."""
    tally = Tally(Work(f"item-{each:05d}", 0, 0) for each in range(4))
    item = Attempt(Work("item-00000", 0, 0), 0, Job({}))
    tally.started(item)  # type: ignore[arg-type]

    tally.done(item, 7)  # type: ignore[arg-type]

    assert (tally.share, tally.seconds_left(5.0)) == (0.25, None)
