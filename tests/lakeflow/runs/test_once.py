"""A run commits once, whatever fails, is killed, or runs twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from forked_drivers import KILLED
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

import lakeflow as lf
from lakeflow.runs.outputs import table_sink
from lakeflow_io.errors import CatalogError, FunctionError, PlanChangedError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def other(rows: pa.Table, unused: int = 0) -> pa.Table:
    """The identity, in other words."""
    del unused
    return rows


def run(pair: Any, function: Any = same, **options: Any) -> lf.Run:
    """The run of this module, over four shards."""
    given = {"into": pair.into, "run_id": "once", "engine": "serial", **options}
    return lf.foreach(
        pair.source.scan(snapshot=given.pop("snapshot", None)).shards(n=given.pop("n", 4)), function, **given
    )


def test_a_second_run_of_one_id_is_a_no_op(any_pair: Any) -> None:
    """The same id gives the same snapshot; no shard runs, nothing is written."""
    first = run(any_pair)
    files = any_pair.files

    second = run(any_pair)

    assert (first.snapshot_id, 4, 0) == (second.snapshot_id, first.ran, second.ran)
    assert (files, 1) == (any_pair.files, len(any_pair.into.refresh().snapshots()))


def test_a_run_is_found_beneath_later_snapshots(pair: Any, numbers: Callable[..., pa.Table]) -> None:
    """Others may have committed since: the run is still the one it was."""
    first = run(pair)
    pair.into.append(numbers(5, 100))

    second = run(pair)

    assert first.snapshot_id == second.snapshot_id
    assert len(pair.into.refresh().snapshots()) == 2


def test_two_ids_are_two_runs(pair: Any) -> None:
    """Another id writes again."""
    run(pair)
    run(pair, run_id="twice")

    assert sorted([*range(40), *range(40)]) == pair.written


@pytest.mark.parametrize("committed", ["committed", ""])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"function": other}, "code: "),
        ({"n": 2}, "shards: 4 -> 2"),
        ({"params": {"unused": 2}, "function": other}, "params: "),
    ],
)
def test_another_plan_under_one_id_is_refused(
    pair: Any, change: dict[str, Any], says: str, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed code, shards or parameters are named, before the commit and after it."""
    if not committed:
        monkeypatch.setattr(table_sink.TableSink, "publish", fail_publish)
        with pytest.raises(CatalogError):
            run(pair)
        monkeypatch.undo()
    else:
        run(pair)
    monkeypatch.setenv("LAKEFLOW_HOME", "/nowhere")

    with pytest.raises(PlanChangedError) as caught:
        run(pair, **change)

    assert says in caught.value.message
    assert "another run id" in str(caught.value.hint)


def fail_publish(*_: Any) -> Any:
    """A catalog that is down when it is needed."""
    raise CatalogError("The catalog is down.")


def test_another_input_under_one_id_is_refused(pair: Any, numbers: Callable[..., pa.Table]) -> None:
    """A newer snapshot of the input is another plan; the old one by its id is the same."""
    before = pair.source.snapshot.id
    first = run(pair)
    pair.source.append(numbers(10, 100))

    with pytest.raises(PlanChangedError, match="inputs: "):
        run(pair)

    assert first.snapshot_id == run(pair, snapshot=before).snapshot_id


def test_only_missing_shards_run_again(pair: Any) -> None:
    """What had ended before a failure is kept: the next call runs the rest, and commits everything once."""
    marker = pair.into.location.removeprefix("file://") + "-flag"  # the function is pickled, so a file tells it

    def fails_once(rows: pa.Table) -> pa.Table:
        if min(rows["id"].to_pylist()) == 20 and not Path(marker).exists():
            raise ValueError("not now")
        return rows

    with pytest.raises(FunctionError, match="not now"):
        run(pair, fails_once)
    done = [name for name in pair.state("once") if name.startswith("done/")]
    assert pair.written == []
    Path(marker).touch()

    second = run(pair, fails_once)

    assert 4 - len(done) == second.ran < 4
    assert list(range(40)) == pair.written
    assert len(pair.into.snapshots()) == 1


def test_state_lies_where_the_journal_says(any_pair: Any) -> None:
    """A plan, a marker for each shard and a record of the commit, all of them JSON, in the output's folder."""
    made = run(any_pair)

    names = any_pair.state("once")
    transport = open_transport(table_sink.TableSink(any_pair.into).store_properties)
    folder = f"{any_pair.into.location}/_lakeflow/runs/once"
    read = {name: json.loads(bytes(transport.get(f"{folder}/{name}"))) for name in names}

    done = [f"done/shard-{n:05d}.json" for n in range(4)]
    assert ["committed/output.json", *done, "plan.json", "seal.json", "status.json"] == names
    assert (2, made.publication.plan_digest) == (read["plan.json"]["format"], read["plan.json"]["digest"])
    assert str(made.snapshot_id) == read["committed/output.json"]["publication"]
    assert tuple(read["seal.json"][name] for name in ("state", "split", "quarantined")) == ("publish", {}, [])
    marker = read["done/shard-00000.json"]
    assert (10, 10, os.getpid()) == (marker["rows_in"], marker["rows"], marker["worker"]["pid"])
    assert {file["path"] for n in range(4) for file in read[f"done/shard-{n:05d}.json"]["files"]["output"]} == set(
        any_pair.files
    )


@pytest.mark.parametrize("raised", [CommitStateUnknownException("502"), CommitFailedException("409"), OSError("reset")])
def test_a_commit_whose_answer_was_lost_is_not_repeated(
    pair: Any, raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit lands, the answer doesn't: the run finds its snapshot and deletes nothing."""
    catalog = pair.into.iceberg.catalog
    commit = catalog.commit_table

    def lose_the_answer(*arguments: Any) -> Any:
        commit(*arguments)
        raise raised

    monkeypatch.setattr(catalog, "commit_table", lose_the_answer)

    made = run(pair)

    monkeypatch.undo()
    assert list(range(40)) == pair.written
    assert [made.snapshot_id] == [each.id for each in pair.into.snapshots()]


def test_a_commit_that_failed_is_made_by_the_next_call(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog is down: a CatalogError, nothing visible, no shard runs again afterwards."""

    def refuse(*_: Any) -> Any:
        raise CommitStateUnknownException("502")

    monkeypatch.setattr(pair.into.iceberg.catalog, "commit_table", refuse)
    with pytest.raises(CatalogError):
        run(pair)
    monkeypatch.undo()
    assert pair.written == []

    second = run(pair)

    assert (second.ran, len(pair.into.refresh().snapshots())) == (0, 1)
    assert list(range(40)) == pair.written


def test_of_two_drivers_one_commits(pair: Any, embedded: lf.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin commits the same run just before this driver does: both return the one snapshot."""
    twin: list[lf.Run] = []
    original = table_sink.commit_run

    def after_the_twin(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        into = embedded.table(pair.into.name)
        twin.append(lf.foreach(pair.source.scan().shards(n=4), same, into=into, run_id="once", engine="serial"))
        return original(*arguments, **options)

    monkeypatch.setattr(table_sink, "commit_run", after_the_twin)

    made = run(pair)

    assert [made.snapshot_id] == [each.snapshot_id for each in twin]
    assert list(range(40)) == pair.written


def test_another_writer_in_between_is_no_harm(
    pair: Any, embedded: lf.Lake, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone appends between the look and the commit: both are there."""
    catalog = pair.into.iceberg.catalog
    commit = catalog.commit_table

    def after_another(*arguments: Any) -> Any:
        monkeypatch.undo()
        embedded.table(pair.into.name).append(numbers(1, 1000))
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", after_another)

    run(pair)

    assert [*range(40), 1000] == pair.written
    assert len(pair.into.snapshots()) == 2


@pytest.mark.parametrize(
    ("owner", "name", "after", "ran"),
    [
        ("outputs.table_sink", "commit_run", False, 0),
        ("outputs.table_sink", "commit_run", True, 0),
        ("protocol", "run_all", False, 4),
        ("attempts.attempt:Journal", "mark_done", True, 3),
        ("attempts.attempt:Journal", "mark_done", False, 4),
    ],
)
def test_a_driver_that_is_killed_is_finished_by_the_next(
    pair: Any,
    drivers: Any,
    namespace: str,
    owner: str,
    name: str,
    after: bool,  # noqa: FBT001  (of the list)
    ran: int,
) -> None:
    """The process ends at once, before or after a step; the same call again leaves one snapshot of all rows."""
    killed, _ = drivers(namespace, (owner, name, after))
    finished, ran_again = drivers(namespace, None)

    assert (killed, finished, ran_again) == (KILLED, 0, ran)
    assert list(range(40)) == pair.written
    assert len(pair.into.snapshots()) == 1
