"""Functions that go wrong in every way, on processes of a cluster of our own: told with shard and remedy."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import cloudpickle
import pyarrow as pa  # noqa: TC002  (annotations are resolved)
import pytest

from lakeflow.runs.attempts.attempt import Attempt, Job
from lakeflow.runs.outputs.table_sink import TableSink
from lakeflow.runs.policy import Policy
from lakeflow.runs.scheduling.schedule import run_all
from lakeflow.runs.work import largest_first
from lakeflow_engines.executors import local_cluster, open_executor
from lakeflow_engines.frames import parameter_kinds
from lakeflow_io.errors import (
    AccessDeniedError,
    FunctionError,
    OutOfMemoryError,
    SchemaError,
    TaskTimeoutError,
    WorkerLostError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakeflow.runs.failures import Failure

_WORKER_BYTES = 700 * 2**20
QUARANTINE = Policy(on_error="quarantine")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers with little memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_cluster, "memory_limit", lambda: 2 * _WORKER_BYTES)
        with local_cluster.local_cluster(2) as client:
            yield client


class Told:
    """What an observer heard."""

    def __init__(self) -> None:
        self.done_: list[str] = []
        self.failures: list[tuple[Failure, str]] = []
        self.values: dict[str, Any] = {}

    def started(self, attempt: Attempt) -> None:
        """Of an observer."""

    def done(self, attempt: Attempt, value: Any) -> None:
        """Of an observer."""
        self.done_.append(attempt.work.id)
        self.values[attempt.work.id] = value

    def failed(self, attempt: Attempt, failure: Failure, then: str) -> None:
        """Of an observer."""
        del attempt
        self.failures.append((failure, then))

    @property
    def then(self) -> list[tuple[str, str, str]]:
        """Work, kind and what came next, in order."""
        return [(failure.shard, failure.kind, then) for failure, then in self.failures]


@pytest.fixture
def drive(pair: Any, cluster: Any) -> Callable[..., tuple[Any, Told]]:
    """Run a function over the pair's rows in two shards of two files each."""

    def run(
        function: Any, policy: Policy = QUARANTINE, *, writes: bool = True, engine: Any = cluster
    ) -> tuple[Any, Told]:
        sink = TableSink(pair.into)
        made = Job(
            run_id="run", function=by_value(function), function_name=f"tests:{function.__name__}",
            kinds=parameter_kinds(function), params={}, shared=(), writers={"output": sink.writer()} if writes else {},
            named=False, folder=f"{pair.into.location}/_lakeflow/runs/run", store=sink.store_properties,
            deadline=policy.deadline,
        )  # fmt: skip
        shards, told = pair.source.scan().shards(n=2), Told()
        cluster.wait_for_workers(2)
        with closing(open_executor(engine)) as executor:
            outcome = run_all(
                executor, lambda work, number: Attempt(made, work, number), largest_first(shards), policy, {}, told
            )
        return outcome, told

    return run


def by_value(function: Any) -> bytes:
    """Pickled so that a worker doesn't need this file as a module."""
    import sys

    module = sys.modules[function.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def leaks(rows: pa.Table) -> pa.Table:
    """Take memory without end over the shard, or the part of one, that has row 5."""
    held = []
    while 5 in rows["id"].to_pylist():
        held.append(os.urandom(2**20) * 16)
        time.sleep(0.01)
    return rows


@pytest.mark.timeout(240)
def test_a_leak_costs_its_own_rows_only(drive: Any, pair: Any) -> None:
    """Its worker is ended; the shard is tried alone, then in parts: one part is set aside, all other rows are there."""
    outcome, told = drive(leaks)

    [(whole, parts)] = outcome.split.items()
    [aside] = outcome.quarantined.values()
    assert parts == 2
    assert aside.shard.startswith(f"{whole}.")
    assert told.then == [
        (whole, "out-of-memory", "alone"), (whole, "out-of-memory", "split"),
        (aside.shard, "out-of-memory", "quarantined"),
    ]  # fmt: skip
    assert sum(value["rows"] for value in told.values.values()) == 30
    assert isinstance(aside.raised(), OutOfMemoryError)
    assert aside.shard in aside.message
    assert "smaller shards" in str(aside.hint)
    assert len(pair.files) == sum(value["counts"]["output"]["files"] for value in told.values.values())


def crashes(rows: pa.Table) -> pa.Table:
    """Take the process down, as a crash in C code does."""
    if 5 in rows["id"].to_pylist():
        os.abort()
    return rows


@pytest.mark.timeout(240)
def test_a_crash_names_its_shard(drive: Any) -> None:
    """A run that doesn't quarantine raises, and says which shard took the worker down, and what to look at."""
    with pytest.raises(WorkerLostError, match=r"shard-0000\d\.\dof2") as caught:
        drive(crashes, Policy())

    assert "log" in str(caught.value.hint)


def never_ends(rows: pa.Table) -> pa.Table:
    """Python code that goes round in circles."""
    while 5 in rows["id"].to_pylist():
        pass
    return rows


@pytest.mark.timeout(240)
def test_a_task_that_never_ends_is_asked_to(drive: Any) -> None:
    """Its worker lives on; the error says which shard took longer than what, and where it was."""
    outcome, told = drive(never_ends, Policy(on_error="quarantine", deadline=1.0))

    [aside] = outcome.quarantined.values()
    assert told.then == [(aside.shard, "timeout", "again"), (aside.shard, "timeout", "quarantined")]
    assert f"{aside.shard}: tests:never_ends took longer than its deadline of 1.0 s" in aside.message
    assert "in never_ends" in aside.traceback


def waits(rows: pa.Table) -> pa.Table:
    """C code that nobody can ask anything."""
    if 5 in rows["id"].to_pylist():
        time.sleep(3600)
    return rows


@pytest.mark.timeout(240)
def test_a_task_that_cannot_be_asked_loses_its_worker(drive: Any) -> None:
    """The hard deadline: another process takes its place, and the error says so."""
    with pytest.raises(TaskTimeoutError, match="took longer than its hard deadline of 2 s; its worker was restarted"):
        drive(waits, Policy(deadline=1.0, hard_deadline=2.0))


def prints(rows: pa.Table) -> pa.Table:
    """A million lines, and then an error."""
    if 5 not in rows["id"].to_pylist():
        return rows
    for number in range(1_000_000):
        print(number)  # noqa: T201
    raise ValueError(rows.num_rows)


@pytest.mark.timeout(240)
def test_a_million_lines_are_no_burden(drive: Any) -> None:
    """The last of them are with the failure; the message has shard, line and how to run it again."""
    outcome, _ = drive(prints)

    [aside] = outcome.quarantined.values()
    assert aside.output.endswith("999998\n999999\n")
    assert f"{aside.shard}: tests:prints raised ValueError: 20 at {__file__}:" in aside.message
    assert f"lakeflow reproduce run {aside.shard}" in str(aside.hint)


def returns_much(_: Any) -> Any:
    """2 GiB that are never touched."""
    import numpy as np

    return np.zeros(2**31, dtype="i1")


@pytest.mark.timeout(240)
def test_a_value_of_two_gigabytes_stays_where_it_is(drive: Any) -> None:
    """Refused on the worker: nothing of it travels."""
    with pytest.raises(FunctionError, match=r"shard-0000\d: what .* more than 64 MiB") as caught:
        drive(returns_much, Policy(), writes=False)

    assert "into=" in str(caught.value.hint)


def other_schema(rows: pa.Table) -> pa.Table:
    """A column that the table doesn't have."""
    return rows.rename_columns(["id", "txt", "half"])


@pytest.mark.timeout(240)
def test_a_wrong_schema_is_told_with_its_shard(drive: Any, pair: Any) -> None:
    """And leaves no file."""
    with pytest.raises(SchemaError, match=r"shard-0000\d: what tests:other_schema returned.*unknown column 'txt'"):
        drive(other_schema, Policy())

    assert pair.files == []


@pytest.mark.timeout(240)
def test_a_warehouse_that_turns_read_only_ends_the_run(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that quarantines: it is no shard's fault, and publishing less and less helps nobody."""
    from lakeflow_io.iceberg import write

    opened: list[str] = []
    open_transport = write.open_transport

    def turns(store: dict[str, str]) -> Any:
        opened.append("once more")
        if len(opened) > 1:
            raise AccessDeniedError("The store refused to write: read-only.", "give the right to write.")
        return open_transport(store)

    monkeypatch.setattr(write, "open_transport", turns)
    with pytest.raises(AccessDeniedError, match="read-only"):
        drive(rows_as_they_are, engine="serial")


def rows_as_they_are(rows: pa.Table) -> pa.Table:
    """Nothing goes wrong here."""
    return rows
