"""A run id means one publication for good, whatever has happened to the table since."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.types import LongType

import lakeflow as lf
from lakeflow.runs import protocol
from lakeflow_engines import shared as shared_tables
from lakeflow_io.errors import FunctionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def run(pair: Any, function: Any = same, **options: Any) -> lf.Run:
    """The run of this module, over four shards."""
    given = {"into": pair.into, "run_id": "again", "engine": "serial", **options}
    return lf.foreach(pair.source.scan().shards(n=4), function, **given)


def expire(table: lf.Table, snapshot_id: int) -> None:
    """Forget a snapshot, as a table's maintenance does; its rows stay."""
    table.refresh().iceberg.maintenance.expire_snapshots().by_id(snapshot_id).commit()
    table.refresh()


def test_a_run_whose_snapshot_expired_commits_nothing_again(pair: Any, numbers: Callable[..., pa.Table]) -> None:
    """The snapshot is gone and its rows are there: the same run id returns the first publication."""
    first = run(pair)
    pair.into.append(numbers(1, 1000))
    expire(pair.into, first.snapshot_id)
    files = pair.files

    second = run(pair)

    assert [*range(40), 1000] == pair.written
    assert (files, 0) == (pair.files, second.ran)
    assert (first.publication.id, first.publication.plan_digest, 40) == (
        second.publication.id,
        second.publication.plan_digest,
        second.rows,
    )


def test_a_crash_before_the_record_of_the_commit(
    pair: Any, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver dies between the commit and its record: a rerun before the expiry makes good, one after it knows."""
    monkeypatch.setattr(protocol.Journal, "mark_committed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(pair)
    monkeypatch.undo()
    monkeypatch.setenv("LAKEFLOW_HOME", "/nowhere")
    [snapshot] = pair.into.refresh().snapshots()
    run(pair)
    pair.into.append(numbers(1, 1000))
    expire(pair.into, snapshot.id)

    last = run(pair)

    assert [*range(40), 1000] == pair.written
    assert str(snapshot.id) == last.publication.id


def interrupt(*_: Any, **__: Any) -> None:
    """Ctrl-C at this very line."""
    raise KeyboardInterrupt


def test_a_handle_from_before_a_schema_change_is_good(pair: Any, embedded: lf.Lake, tmp_path: Path) -> None:
    """Another client adds a column: an old handle is an `into=`, and a new one resumes what it began."""
    flag = tmp_path / "flag"

    def fails_once(rows: pa.Table) -> pa.Table:
        if rows["id"][0].as_py() == 0 and not flag.exists():
            raise ValueError("not now")
        return rows

    with embedded.table(pair.into.name).iceberg.update_schema() as update:
        update.add_column("added", LongType())
    with pytest.raises(FunctionError, match="not now"):
        run(pair, fails_once)
    flag.touch()

    resumed = run(pair, fails_once, into=embedded.table(pair.into.name))

    assert list(range(40)) == pair.written
    assert resumed.ran < 4
    assert {None} == set(pair.into.scan(columns=["added"]).read().to_arrow()["added"].to_pylist())


def test_a_handle_from_before_a_schema_change_repeats_a_run(pair: Any, embedded: lf.Lake) -> None:
    """The old handle and a new one name the same run."""
    with embedded.table(pair.into.name).iceberg.update_schema() as update:
        update.add_column("added", LongType())

    first = run(pair)
    second = run(pair, into=embedded.table(pair.into.name))

    assert (first.snapshot_id, 0) == (second.snapshot_id, second.ran)


def with_shared(rows: pa.Table, names: pa.Table) -> pa.Table:
    """The identity, with a shared table."""
    assert len(names) == 2
    return rows


SHARED = {"names": pa.table({"name": ["a", "b"]})}


def shared_files(pair: Any, run_id: str = "again") -> list[str]:
    """What a run left of its shared tables."""
    return [name for name in pair.state(run_id) if name.startswith("shared/")]


@pytest.mark.parametrize("engine", ["serial", "threads"])
def test_shared_tables_are_gone_after_a_run(any_pair: Any, engine: str) -> None:
    """A run cleans up what it put for its tasks."""
    run(any_pair, with_shared, shared=SHARED, engine=engine)

    assert shared_files(any_pair) == []


@pytest.mark.parametrize("name", ["delete_shared", "mark_committed"])
def test_a_rerun_cleans_up_for_one_that_died(pair: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the publication and before cleaning up: the same command again leaves no shared table."""
    home: Any = protocol if name == "delete_shared" else protocol.Journal
    if not hasattr(home, name):
        pytest.fail(f"{home} has no {name}: where does a run clean up now?")
    monkeypatch.setattr(home, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(pair, with_shared, shared=SHARED)
    monkeypatch.undo()
    monkeypatch.setenv("LAKEFLOW_HOME", "/nowhere")

    second = run(pair, with_shared, shared=SHARED)

    assert shared_files(pair) == []
    assert (list(range(40)), 0, 1) == (pair.written, second.ran, len(pair.into.refresh().snapshots()))


def test_twins_with_shared_tables_both_succeed(pair: Any, embedded: lf.Lake) -> None:
    """Two drivers of one run at once: one snapshot, both have it, no shared table is left."""
    ended: list[Any] = []

    def drive() -> None:
        try:
            into = embedded.table(pair.into.name)
            ended.append(run(pair, with_shared, shared=SHARED, into=into, engine="threads").snapshot_id)
        except BaseException as error:  # noqa: BLE001  (whatever it is, the assertion shows it)
            ended.append(error)

    drivers = [threading.Thread(target=drive) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()

    [snapshot] = pair.into.refresh().snapshots()
    assert [snapshot.id] * 2 == ended
    assert list(range(40)) == pair.written
    assert shared_files(pair) == []


@pytest.mark.parametrize("on_error", ["raise", "quarantine"])
def test_a_twin_that_ends_first_takes_the_shared_tables_away(
    pair: Any, embedded: lf.Lake, monkeypatch: pytest.MonkeyPatch, on_error: str
) -> None:
    """Whatever became of the attempts of the other one: the run is published, so it has what was published."""
    execute, twins = protocol.execute, list[lf.Run]()

    def after_the_twin(*arguments: Any, **options: Any) -> Any:
        if not twins:
            monkeypatch.setattr(protocol, "execute", execute)
            twins.append(run(pair, with_shared, shared=SHARED, into=embedded.table(pair.into.name)))
            shared_tables._mapped.cache_clear()  # as in another process
        return execute(*arguments, **options)

    monkeypatch.setattr(protocol, "execute", after_the_twin)
    made = run(pair, with_shared, shared=SHARED, on_error=on_error)

    assert [made.snapshot_id] == [twin.snapshot_id for twin in twins]
    assert (made.ran, made.partial) == (0, False)
    assert list(range(40)) == pair.written
