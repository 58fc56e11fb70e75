"""A run's folder, on a store in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakeflow.runs.failures import Failure
from lakeflow.runs.plan import RunPlan, check_same
from lakeflow.runs.state.done import Done
from lakeflow.runs.state.journal import Journal
from lakeflow.runs.state.seal import Seal, part_ids
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError, PlanChangedError, UnsupportedError
from lakeflow_io.storage import MemoryTransport


def plan(**changes: Any) -> RunPlan:
    """A plan of four shards."""
    facts: dict[str, Any] = {
        "run_id": "run", "inputs": ["a@1"], "kind": "shard", "shards": 4, "shards_digest": "d", "bytes": 9, "rows": 3,
        "function": "m:f", "code": "c", "params": {}, "shared": {}, "outputs": [{"name": "output"}],
    }  # fmt: skip
    return RunPlan(**{**facts, **changes})


@pytest.fixture
def journal() -> Journal:
    """An empty folder."""
    return Journal.of(MemoryTransport(), "memory://lake/table", "run")


def test_the_first_plan_counts(journal: Journal) -> None:
    """A second driver gets the first's, with who made it and when."""
    first, second = plan(owner={"user": "a", "host": "h"}), plan(owner={"user": "b", "host": "h"}, code="other")

    assert journal.adopt(first) == (first, True)
    assert journal.adopt(second) == (first, True)
    assert journal.plan() == first


def test_a_digest_covers_what_decides_the_rows() -> None:
    """Not who runs it, when, how its shards are made again, or what the output's snapshot was."""
    same = plan(
        owner={"user": "x", "host": "y"}, created="2026-01-01T00:00:00Z", recipe={"items": []}, planned_on={"output": 7}
    )
    others = [plan(code="x"), plan(params={"a": 1}), plan(shards=5), plan(outputs=[{"name": "o", "mode": "overwrite"}])]

    assert plan().digest == same.digest
    assert len({plan().digest, *(each.digest for each in others)}) == 5


@pytest.mark.parametrize(("change", "says"), [({"code": "x"}, "code: 'c' -> 'x'"), ({"shards": 5}, "shards: 4 -> 5")])
def test_what_changed_is_said(change: dict[str, Any], says: str) -> None:
    """From what to what; changed code alone may be let pass."""
    with pytest.raises(PlanChangedError, match=says):
        check_same(plan(), plan(**change))

    if "code" in change:
        check_same(plan(), plan(**change), allow_code_change=True)
    else:
        with pytest.raises(PlanChangedError):
            check_same(plan(), plan(**change), allow_code_change=True)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"format": 1}', b'{"format": 3, "digest": ""}'])
def test_what_is_no_plan_is_said(journal: Journal, data: bytes) -> None:
    """A folder of another version is refused, with its name."""
    journal.transport.put("memory://lake/table/_lakeflow/runs/run/plan.json", data)

    with pytest.raises(CorruptFileError, match=r"runs/run/plan\.json"):
        journal.adopt(plan())


def test_the_first_marker_counts(journal: Journal) -> None:
    """A later attempt gets the marker of the faster one, and is told apart from it by its files."""
    marker = {"format": 1, "shard": "shard-00001", "attempt": 0, "files": {"output": []}}

    counted = {**marker, "marker_bytes": len(json.dumps(marker))}
    assert journal.mark_done(marker) == counted
    assert journal.mark_done({**marker, "attempt": 1, "more": "than the first"}) == counted
    assert list(journal.markers(["shard-00001"])) == [marker]
    with pytest.raises(ObjectNotFoundError):
        list(journal.markers(["shard-00001", "shard-00002"]))


def test_what_is_done_is_told_by_names_alone(journal: Journal) -> None:
    """One listing, whatever the number of markers; parts of shards are kept apart."""
    for name in ("shard-00000", "shard-00003", "shard-00002.1of4", "shard-00009", "else"):
        journal.mark_done({"shard": name})
    transport: Any = journal.transport
    transport.requests.clear()

    done = journal.done(4)

    assert transport.requests == {"list": 1}
    assert [name in done for name in plan().work_ids] == [True, False, False, True]
    assert (done.count, done.parts) == (2, {"shard-00002.1of4": len(json.dumps({"shard": "shard-00002.1of4"}))})


def test_markers_come_in_the_order_asked_for(journal: Journal) -> None:
    """They are read many at a time."""
    ids = [f"shard-{number:05d}" for number in range(100)]
    for work_id in ids:
        journal.mark_done({"shard": work_id})

    assert [marker["shard"] for marker in journal.markers(reversed(ids))] == ids[::-1]


def test_failures_are_a_history(journal: Journal) -> None:
    """By shard, in the order of their attempts; only those that are asked for are read."""
    made = [
        Failure("shard-00001", number, "transient", "StoreError", "no", worker={"host": "h", "pid": 1})
        for number in (10, 2, 0)
    ]
    for failure in made:
        journal.mark_failed(failure, "again")
    journal.mark_failed(Failure("item-00002.1of2", 0, "function", "ValueError", "no"), "quarantined")

    found = journal.failures()

    assert found["shard-00001"] == made[::-1]
    assert found["item-00002.1of2"][0].kind == "function"
    assert journal.failures(lambda work_id: work_id == "shard-00003") == {}


def test_a_later_version_may_know_more_of_a_failure(journal: Journal) -> None:
    """What isn't known is left out."""
    record = {**Failure("shard-00001", 0, "transient", "E", "m").record("again"), "format": 2, "more": 1}
    journal._agree("failed/shard-00001-a0.json", record)

    assert journal.failures()["shard-00001"][0].message == "m"


def test_the_first_seal_counts(journal: Journal) -> None:
    """Twins that came to different ends publish one and the same."""
    ours = Seal("publish", {"shard-00002": 2}, ("shard-00001",))

    assert journal.sealed() is None
    assert journal.seal(ours) == ours
    assert journal.seal(Seal("abandoned")) == ours
    assert list(ours.published(plan().work_ids)) == [
        "shard-00000", "shard-00002.1of2", "shard-00002.2of2", "shard-00003",
    ]  # fmt: skip


def test_a_part_may_be_left_out() -> None:
    """The others of its shard are published."""
    seal = Seal("publish", {"shard-00000": 3}, ("shard-00000.2of3",))

    assert list(seal.published(["shard-00000"])) == ["shard-00000.1of3", "shard-00000.3of3"]
    assert part_ids("shard-00000", 1) == ("shard-00000.1of1",)


class Refusing(MemoryTransport):
    """A store that says that it has no conditional writes."""

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Refuse."""
        del data
        raise UnsupportedError(f"The store of {uri} has no conditional writes.")


class Ignoring(MemoryTransport):
    """A store that takes the condition for nothing."""

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write in any case."""
        self.put(uri, data)
        return True


@pytest.mark.parametrize("store", [Refusing, Ignoring])
def test_a_store_without_conditional_writes_is_noticed(
    store: type[MemoryTransport], caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, by its name; from then on what is there is looked for before it is written."""
    journal = Journal.of(store(), "memory://lake/table", "run")

    adopted, conditional = journal.adopt(plan())
    again = journal.adopt(plan(code="other"))

    assert (adopted.code, conditional) == ("c", False)
    assert (again[0].code, again[1]) == ("c", False)
    assert "memory://lake/table" in caplog.text
    assert "no conditional writes" in caplog.text
    plain = Journal(journal.transport, journal.folder, conditional=False)
    assert plain.mark_done({"shard": "shard-00000", "attempt": 0})["attempt"] == 0
    assert plain.mark_done({"shard": "shard-00000", "attempt": 1})["attempt"] == 0


def test_what_is_done_takes_four_bytes_a_work() -> None:
    """A hundred thousand works, of which every second is done."""
    done = Done(100_000)
    for index in range(0, 100_000, 2):
        done.add(f"shard-{index:05d}", index)

    assert done.count == 50_000
    assert done._sizes.itemsize * len(done._sizes) == 400_000
    assert done.size("shard-00002") == 2
    assert "shard-00000" in done
    assert "shard-99999" not in done
    assert "shard-100000" not in done
